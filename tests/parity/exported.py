"""Turns a case's graph into an ONNX file as exporters make them, which fastembed and this software run as it is.

So fastembed is a reference for all that stands around the network: tokens, truncation, markers, padding, pooling and
pixels. The network itself is held against transformers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployments.architectures.checkpoint import Checkpoint
from deployments.catalogue.word_files import STOPWORDS, TABLE, VOCABULARY
from deployments.graphs import clip, heads, towers
from tests.parity.cases import Case

_BESIDE = ("tokenizer.json", "config.json", "preprocessor_config.json", STOPWORDS, TABLE, VOCABULARY)


def export(case: Case, folder: Path, target: Path) -> Path:
    """Write the case's model as `model.onnx` with its other files into a new folder."""
    target.mkdir(parents=True)
    model = onnx.load_from_string(_build(case, folder))
    _INPUTS[case.card.modality](model, folder)
    if case.card.family == "late-interaction":
        _append(model, "LpNormalization", axis=-1, p=2)
    if case.card.family == "bm42":
        _add_attentions(model, str(case.card.output))
    onnx.save(model, target / "model.onnx")
    for name in _BESIDE:
        if (folder / name).exists():
            (target / name).write_bytes((folder / name).read_bytes())
    special = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    padding = next((token["content"] for token in special if "pad" in token["content"].lower()), special[-1]["content"])
    limits = {"model_max_length": case.card.context_window or 1, "pad_token": padding}
    (target / "tokenizer_config.json").write_text(json.dumps(limits))
    return target


def _build(case: Case, folder: Path) -> bytes:
    checkpoint = Checkpoint(folder)
    if case.card.family == "clip-vision":
        return clip.vision(checkpoint, _preprocessor(folder))
    if case.card.family == "sparse":
        return _logits(heads.splade(checkpoint))
    return _HEADS[case.card.family](checkpoint)


_HEADS: dict[str, Callable[[Checkpoint], bytes]] = {
    "dense": heads.encoder,
    "bm42": heads.encoder,
    "minicoil": heads.encoder,
    "late-interaction": heads.colbert,
    "clip-text": clip.text,
    "cross-encoder": heads.scores,
}


def _preprocessor(folder: Path) -> towers.Preprocessor:
    return towers.Preprocessor.model_validate_json((folder / "preprocessor_config.json").read_bytes())


def _logits(splade: bytes) -> bytes:
    """The graph up to the logits of each token, where a plain masked-language model ends."""
    model = onnx.load_from_string(splade)
    nodes = {node.op_type: node for node in model.graph.node}
    bias = next(node.input[1] for node in model.graph.node if nodes["ReduceMax"].output[0] in node.input)
    del model.graph.node[list(model.graph.node).index(nodes["ReduceMax"]) :]
    model.graph.node.append(helper.make_node("Add", [nodes["ReduceMax"].input[0], bias], ["output"]))
    words = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", "tokens", words]))
    return bytes(model.SerializeToString())


def _text_inputs(model: onnx.ModelProto, _folder: Path) -> None:
    """`input_ids`, `attention_mask` and `token_type_ids`, all int64, in place of ids and lengths."""
    _rename(model, "input_ids", "ids")
    axis = numpy_helper.from_array(np.array([1]), "token_axis")
    model.graph.initializer.append(axis)
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["attention_mask", "token_axis"], ["attended"], keepdims=0),
        helper.make_node("Cast", ["attended"], ["lengths"], to=TensorProto.INT32),
    ]
    if "segments" in [each.name for each in model.graph.input]:
        nodes.append(helper.make_node("Cast", ["token_type_ids"], ["segments"], to=TensorProto.INT32))
    _prepend(model, nodes)
    names = ("input_ids", "attention_mask", "token_type_ids")
    _set_inputs(model, [(name, TensorProto.INT64, ["batch", "tokens"]) for name in names])


def _image_inputs(model: onnx.ModelProto, folder: Path) -> None:
    """`pixel_values`, normalized float32 `[batch, 3, size, size]`, in place of raw pixels."""
    cast = model.graph.node[0]
    raw = cast.output[0]
    scale, shift = (each[:, None, None] for each in _preprocessor(folder).scale_and_shift())
    model.graph.initializer.append(numpy_helper.from_array(scale, "scale"))
    model.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    size = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    model.graph.node.remove(cast)
    nodes = [
        helper.make_node("Sub", ["pixel_values", "shift"], ["shifted"]),
        helper.make_node("Div", ["shifted", "scale"], ["planes"]),
        helper.make_node("Transpose", ["planes"], [raw], perm=[0, 2, 3, 1]),
    ]
    _prepend(model, nodes)
    _set_inputs(model, [("pixel_values", TensorProto.FLOAT, ["batch", 3, size, size])])


_INPUTS: dict[str, Callable[[onnx.ModelProto, Path], None]] = {
    "text": _text_inputs,
    "image": _image_inputs,
    "pair": _text_inputs,
}


def _set_inputs(model: onnx.ModelProto, inputs: list[tuple[str, int, list[str | int]]]) -> None:
    del model.graph.input[:]
    model.graph.input.extend(helper.make_tensor_value_info(*each) for each in inputs)


def _prepend(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def _append(model: onnx.ModelProto, operator: str, **attributes: Any) -> None:
    """Another operator on the output."""
    _rename(model, "output", "plain_output")
    model.graph.node.append(helper.make_node(operator, ["plain_output"], ["output"], **attributes))


def _add_attentions(model: onnx.ModelProto, name: str) -> None:
    """The attentions of the last layer, float32 `[batch, heads, tokens, tokens]`, as an output beside the first."""
    last = [node for node in model.graph.node if node.op_type == "Attention"][-1]
    count = helper.get_node_attr_value(last, "num_heads")
    size = next(each.dims[0] for each in model.graph.initializer if each.name == last.input[1]) // count
    constants = {
        "thirds": np.full(3, count * size),
        "by_head": np.array([0, 0, count, size]),
        "middle": np.array([1, 2]),
        "root": np.float32(size**-0.5),
        "least": np.array(np.finfo(np.float32).min),
    }
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(each), key) for key, each in constants.items())
    operators: tuple[tuple[str, list[str], list[str], dict[str, Any]], ...] = (
        ("MatMul", [*last.input[:2]], ["product"], {}),
        ("Add", ["product", last.input[2]], ["joined"], {}),
        ("Split", ["joined", "thirds"], ["query", "key", "seen"], {"axis": -1}),
        ("Reshape", ["query", "by_head"], ["query_heads"], {}),
        ("Reshape", ["key", "by_head"], ["key_heads"], {}),
        ("Transpose", ["query_heads"], ["queries"], {"perm": [0, 2, 1, 3]}),
        ("Transpose", ["key_heads"], ["keys"], {"perm": [0, 2, 3, 1]}),
        ("MatMul", ["queries", "keys"], ["products"], {}),
        ("Mul", ["products", "root"], ["scores"], {}),
        ("Cast", ["attention_mask"], ["is_text"], {"to": TensorProto.BOOL}),
        ("Unsqueeze", ["is_text", "middle"], ["mask"], {}),
        ("Where", ["mask", "scores", "least"], ["masked"], {}),
        ("Softmax", ["masked"], [name], {"axis": -1}),
    )
    model.graph.node.extend(helper.make_node(kind, *ends, **attributes) for kind, *ends, attributes in operators)
    shape = ["batch", count, "tokens", "tokens"]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
