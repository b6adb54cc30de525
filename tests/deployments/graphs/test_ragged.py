"""Graphs of ragged texts, run by a reference in numpy, against those of padded rows, run by onnxruntime on the CPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.architectures.known import transformer
from deployments.contract import MultiVectors
from deployments.families.pooling import POOLINGS, normalize
from deployments.graphs import heads, pooling, ragged
from deployments.networks.opening import Graphs, open_network
from deployments.networks.ragged import ragged as inputs_of
from deployments.networks.settings import SessionSettings
from tests.support import cuda_kernels, packed_operators, tiny
from tests.support.architectures import ARCHITECTURES, Made

LENGTHS = (5, 40, 1, 22, 62, 30, 2)
Make = Callable[[int], Made]
each_architecture = pytest.mark.parametrize("make", [*ARCHITECTURES.values(), None], ids=[*ARCHITECTURES, "bert"])


@pytest.fixture
def texts() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(1, tiny.WORDS, count).tolist() for count in LENGTHS]


def written(folder: Path, make: Make | None) -> Path:
    if make is None:
        return tiny.write(folder, tiny.bert_tensors() | tiny.masked_language_head())
    return tiny.write_as(folder, *make(tiny.WORDS))


def padded(folder: Path, build: Any, texts: list[list[int]], attended: Any = None) -> Any:
    settings = SessionSettings(provider="cpu", rows="padded")
    network = open_network(tiny.card(), folder, settings, Graphs(heads.positions, build))
    return network(texts, lengths(texts) if attended is None else attended)


def lengths(texts: list[list[int]]) -> Any:
    return np.array([len(text) for text in texts], np.int32)


def run(model: bytes, texts: list[list[int]], attended: Any = None) -> list[Any]:
    return packed_operators.session(model).run(inputs_of(texts, lengths(texts) if attended is None else attended))


@each_architecture
def test_every_architecture_gives_what_it_gives_in_padded_rows(
    tmp_path: Path, make: Make | None, texts: list[list[int]]
) -> None:
    folder = written(tmp_path, make)
    (found,) = run(ragged.encoder(Checkpoint(folder), np.float32, "mean", True), texts)
    expected = normalize(POOLINGS["mean"](padded(folder, heads.encoder, texts)))
    assert found == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("name", POOLINGS)
def test_every_pooling_gives_what_it_gives_outside_of_the_graph(
    tmp_path: Path, name: str, texts: list[list[int]]
) -> None:
    folder = written(tmp_path, None)
    (found,) = run(ragged.encoder(Checkpoint(folder), np.float32, name, False), texts)
    assert found == pytest.approx(POOLINGS[name](padded(folder, heads.encoder, texts)), abs=2e-5)


@pytest.mark.parametrize("make", [None, ARCHITECTURES["modernbert"]], ids=["bert", "modernbert"])
def test_tokens_that_are_not_attended_to_have_vectors_of_their_own(tmp_path: Path, make: Make | None) -> None:
    """The masks behind a ColBERT's query; in layers that see near, those far from all that is attended to too."""
    tensors, config = make(tiny.WORDS) if make else (tiny.bert_tensors(), tiny.bert_config())
    linear = {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    folder = tiny.write_as(tmp_path, tensors | linear, config)
    queries = [[3, 4, 5, *[6] * 29], list(range(1, 33)), [9, *[6] * 31]]
    attended = np.array([3, 20, 1], np.int32)
    (found,) = run(ragged.colbert(Checkpoint(folder), np.float32, True), queries, attended)
    expected = padded(folder, heads.colbert, queries, attended)
    assert isinstance(expected, MultiVectors)
    assert found == pytest.approx(normalize(expected.rows), abs=2e-5)


@pytest.mark.parametrize("part", [7, 4096])
@pytest.mark.parametrize("make", [None, ARCHITECTURES["distilbert"]], ids=["bert", "distilbert"])
def test_the_weights_of_words_are_the_same_for_any_part_of_the_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Make | None, part: int, texts: list[list[int]]
) -> None:
    monkeypatch.setattr(pooling, "_ENTRIES", part)
    folder = written(tmp_path, make)
    places, values = run(ragged.splade(Checkpoint(folder), np.float32), texts)
    found = np.zeros((len(texts), tiny.WORDS), np.float32)
    found[tuple(places)] = values
    expected = padded(folder, heads.splade, texts)
    assert (values > 0).all()
    assert 0 < len(values) < expected.size
    assert found == pytest.approx(expected, abs=2e-5)


def test_float16_keeps_the_cosine(tmp_path: Path, texts: list[list[int]]) -> None:
    folder = written(tmp_path, None)
    exact, half = (
        run(ragged.encoder(Checkpoint(folder), weights, "mean", True), texts)[0] for weights in (np.float32, np.float16)
    )
    assert half.dtype == np.float32
    assert (exact * half).sum(axis=1).min() > 0.9999
    assert np.abs(exact - half).max() > 1e-5, "this was not float16"


@each_architecture
@pytest.mark.parametrize("weights", [np.float32, np.float16])
def test_onnxruntime_knows_every_operator_as_it_is_used(
    tmp_path: Path, make: Make | None, weights: type[np.generic]
) -> None:
    """It checks types, shapes and attributes before it looks for kernels, and on the CPU lacks that of attention."""
    folder = written(tmp_path, make)
    if weights == np.float16 and not transformer(Config(folder)).float16:
        return
    model = ragged.encoder(Checkpoint(folder), weights, "weighted-mean", True)
    assert without_kernel(model) == "PackedMultiHeadAttention"
    assert cuda_kernels.without_kernel(model) == set()


def test_onnxruntime_knows_the_operators_of_the_other_heads(tmp_path: Path) -> None:
    linear = {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    (tmp_path / "colbert").mkdir()
    colbert = Checkpoint(tiny.write(tmp_path / "colbert", tiny.bert_tensors() | linear))
    bert = Checkpoint(written(tmp_path, None))
    for model in (
        ragged.colbert(colbert, np.float16, True),
        ragged.splade(bert, np.float16),
        *(ragged.encoder(bert, np.float16, name, False) for name in ("max", "cls", "last", "mean")),
    ):
        assert without_kernel(model) == "PackedMultiHeadAttention"
        assert cuda_kernels.without_kernel(model) == set()


def without_kernel(model: bytes) -> str:
    """The operator for which the CPU provider has no kernel."""
    with pytest.raises(Exception, match="NOT_IMPLEMENTED") as caught:
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (operator,) = re.findall(r"(\w+)\(1\)", str(caught.value))
    return str(operator)
