"""The benchmarks' model as other software takes it: an ONNX file with the usual inputs beside its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks import baseline
from deployments.architectures.checkpoint import Checkpoint
from deployments.catalogue import catalogue
from deployments.files.store import ModelStore, cache_folder
from deployments.graphs import heads

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def write(folder: Path) -> None:
    """Write all files into a folder."""
    source = ModelStore(cache_folder()).pull(catalogue.load(baseline.STARTER).find(baseline.MINILM, "benchmark"))
    assert source is not None
    for path in source.iterdir():
        if path.is_file():
            (folder / path.name).symlink_to(path)
    tokenizer = {"model_max_length": 256, "pad_token": "[PAD]", "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    pooling = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
                for n, (path, kind) in enumerate(modules)
            ]
        )
    )
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256}))
    onnx.save(_with_usual_inputs(heads.encoder(Checkpoint(source))), folder / "model.onnx")


def _with_usual_inputs(graph: bytes) -> onnx.ModelProto:
    """Our graph, whose inputs are ids and lengths, with a mask in place of the lengths."""
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        node.input[:] = ["ids" if name == "input_ids" else name for name in node.input]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["attention_mask", "token_axis"], ["attended"], keepdims=0),
        helper.make_node("Cast", ["attended"], ["lengths"], to=TensorProto.INT32),
        *model.graph.node,
    ]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "token_axis"))
    shape = ["batch", "tokens"]
    model.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in _INPUTS)
    return model
