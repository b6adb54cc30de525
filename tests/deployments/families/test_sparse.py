"""SPLADE in packed rows: each text's maximum is over its own tokens, all of them, and nothing is computed in vain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.architectures.checkpoint import Checkpoint
from deployments.contract import Batch, SparseVectors
from deployments.families import sparse
from deployments.families.protocol import Family
from deployments.graphs import heads, pooling
from deployments.networks.packed import PiecewiseNetwork
from deployments.networks.packing import Packed
from deployments.networks.session import open_session
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from tests.support import tiny
from tests.support.architectures import ARCHITECTURES, Made

TEXTS = ["", "the", "the capital of text " * 9, "vector", "the vectors are " * 3, "b c d e f", "of text " * 40]
LENGTHS = (5, 8, 1, 22, 62, 30, 9, 16, 2)
Make = Callable[[int], Made]


def written(folder: Path, make: Make | None) -> Path:
    tokenizer = tiny.word_pieces()
    tokenizer.save(str(folder / "tokenizer.json"))
    words = tokenizer.get_vocab_size()
    if make is None:
        return tiny.write(folder, tiny.bert_tensors(words) | tiny.masked_language_head(words), vocab_size=words)
    return tiny.write_as(folder, *make(words))


def load(folder: Path, rows: str, **fields: Any) -> Family:
    card = tiny.card(family="sparse", dimensions=None, pooling=None, **fields)
    return sparse.load(card, folder, SessionSettings.model_validate({"provider": "cpu", "rows": rows}))


def weights(family: Family, texts: list[str], budget: int = 10**6) -> np.ndarray:
    vectors = embed(family, Batch(texts, "update"), budget).vectors
    assert isinstance(vectors, SparseVectors)
    rows = np.zeros((len(texts), tiny.word_pieces().get_vocab_size()), np.float32)
    rows[np.repeat(np.arange(len(texts)), np.diff(vectors.offsets)), vectors.indices] = vectors.values
    return rows


@pytest.mark.parametrize("make", [None, ARCHITECTURES["distilbert"]], ids=["bert", "distilbert"])
@pytest.mark.parametrize("log_twice", [False, True])
def test_packed_and_padded_rows_give_the_same_weights(tmp_path: Path, make: Make | None, log_twice: bool) -> None:
    folder = written(tmp_path, make)
    packed, padded = (weights(load(folder, rows, log_twice=log_twice), TEXTS) for rows in ("auto", "padded"))
    assert packed == pytest.approx(padded, abs=2e-5)
    assert (packed > 0).any(axis=1).all()


def test_a_text_has_the_same_weights_alone_and_in_any_company(tmp_path: Path) -> None:
    family = load(written(tmp_path, None), "packed")
    together, backwards = weights(family, TEXTS), weights(family, TEXTS[::-1], budget=64)[::-1]
    for position, text in enumerate(TEXTS):
        (alone,) = weights(family, [text])
        assert together[position] == pytest.approx(alone, abs=1e-5)
        assert backwards[position] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("part", [7, 4096])
def test_each_piece_of_a_text_has_the_highest_logits_of_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(pooling, "_ENTRIES", part)
    folder = written(tmp_path, None)
    model = heads.splade(Checkpoint(folder), np.float32, "packed")
    session = open_session(lambda _: model, SessionSettings(provider="cpu"))
    random = np.random.default_rng(0)
    texts = [random.integers(1, tiny.WORDS, count).tolist() for count in LENGTHS]
    found = PiecewiseNetwork(session, Packed())(texts, np.array(LENGTHS, np.int32))
    assert np.diff(found.offsets).tolist() == [-(-count // 8) for count in LENGTHS]
    assert len(found.rows) == found.offsets[-1]
    highest = np.stack([found[text].max(axis=0) for text in range(len(texts))])
    assert (highest < 0).any(), "no logit below zero: a maximum with padding's zeros would pass as well"
    padded = open_session(lambda _: heads.splade(Checkpoint(folder)), SessionSettings(provider="cpu"))
    for text, row in zip(texts, highest, strict=True):
        inputs = {"input_ids": np.array([text], np.int32), "lengths": np.array([len(text)], np.int32)}
        (expected,) = padded.run(inputs)[0]
        assert np.log1p(np.maximum(row, 0)) == pytest.approx(expected, abs=2e-5)
