"""Graphs of random weights; those of real models are held against transformers in families/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.checkpoint import Checkpoint
from deployments.errors import ModelError
from deployments.graphs import bert, clip
from deployments.session import SessionSettings, open_session
from tests.deployments import tiny

IDS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]], np.int32)
LENGTHS = np.array([5, 3], np.int32)


def run(model: bytes, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    (output,) = open_session(model, SessionSettings(provider="cpu")).run({"input_ids": ids, "lengths": lengths})
    return output


def test_padding_changes_nothing_whatever_stands_there(tmp_path: Path) -> None:
    model = bert.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors())))
    other = IDS.copy()
    other[1, 3:] = [7, 8]
    alone = run(model, IDS[1:, :3], LENGTHS[1:])
    for ids in (IDS, other):
        assert np.abs(run(model, ids, LENGTHS)[1, :3] - alone[0]).max() < 1e-5


def test_prefix_and_old_names_make_the_same_model(tmp_path: Path) -> None:
    tensors = tiny.bert_tensors()
    old = {
        f"bert.{name}".replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
        for name, tensor in tensors.items()
    }
    model = bert.encoder(Checkpoint(tiny.write(tmp_path, tensors)))
    assert model == bert.encoder(Checkpoint(tiny.write(tmp_path, old)))


def test_an_output_layer_of_its_own_is_used_where_there_is_one(tmp_path: Path) -> None:
    words = tiny.bert_tensors()["embeddings.word_embeddings.weight"]
    head = {
        "cls.predictions.bias": np.zeros(tiny.WORDS, np.float32),
        "cls.predictions.transform.dense.weight": np.eye(tiny.HIDDEN, dtype=np.float32),
        "cls.predictions.transform.dense.bias": np.zeros(tiny.HIDDEN, np.float32),
        "cls.predictions.transform.LayerNorm.weight": np.ones(tiny.HIDDEN, np.float32),
        "cls.predictions.transform.LayerNorm.bias": np.zeros(tiny.HIDDEN, np.float32),
    }
    tied = bert.splade(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | head)))
    own = head | {"cls.predictions.decoder.weight": words[::-1].copy()}
    reversed_ = bert.splade(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | own)))
    assert np.abs(run(tied, IDS, LENGTHS) - run(reversed_, IDS, LENGTHS)[:, ::-1]).max() < 1e-5


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"model_type": "t5"}, "architecture 't5'"),
        ({"hidden_act": "swish"}, "hidden_act 'swish'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"num_attention_heads": None}, "'num_attention_heads'"),
        ({"num_hidden_layers": 3}, r"no tensor 'encoder\.layer\.2"),
    ],
)
def test_what_cannot_be_built_is_named(tmp_path: Path, config: dict[str, Any], named: str) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, tiny.bert_tensors(), **config))
    with pytest.raises(ModelError, match=named):
        bert.encoder(checkpoint)


def test_a_bert_is_no_clip(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, tiny.bert_tensors()))
    with pytest.raises(ModelError, match="architecture 'bert' cannot be run here, only clip"):
        clip.text(checkpoint)


@pytest.mark.parametrize(("name", "values"), [("quick_gelu", [-0.1542, 0.8458]), ("gelu", [-0.1587, 0.8413])])
def test_clip_knows_both_activations(tmp_path: Path, name: str, values: list[float]) -> None:
    """x * sigmoid(1.702 x) and x * P(X <= x), each at -1 and 1."""
    checkpoint = Checkpoint(tiny.write(tmp_path, {}, model_type="clip", text_config={"hidden_act": name}))
    graph = clip.Graph(checkpoint)
    value = graph.input("x", np.float32, ["n"])
    operator, domain = clip._activation(checkpoint, "text_config")
    model = graph.serialize(graph.add(operator, value, domain=domain), ["n"])
    (output,) = open_session(model, SessionSettings(provider="cpu")).run({"x": np.array([-1, 1], np.float32)})
    assert output == pytest.approx(values, abs=1e-4)


def test_an_unknown_activation_of_clip_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {}, model_type="clip", text_config={"hidden_act": "relu"}))
    with pytest.raises(ModelError, match=r"text_config\.hidden_act 'relu' cannot be run, only quick_gelu, gelu"):
        clip._activation(checkpoint, "text_config")
