"""BM42, beside what tests/parity holds against fastembed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.contract import Batch, Running, SparseVectors
from deployments.errors import ModelError, ModelFilesError
from deployments.families import bm42
from deployments.networks.layouts import Layout
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from deployments.onboarding.self_check import self_check
from tests.support import tiny, word_models
from tests.support.architectures import distilbert, modernbert

CARD = tiny.card(family="bm42", dimensions=None, pooling=None)
CPU = SessionSettings(provider="cpu", precision="float32")


class NoNetwork:
    """A network that nobody may ask."""

    layout = Layout()
    running = Running(None, None)

    def __call__(self, *_: Any) -> Any:
        raise AssertionError("a network ran")


class Hidden:
    """A session of a file that gives hidden states."""

    def run(self, given: dict[str, np.ndarray], _output: str | None) -> list[np.ndarray]:
        return [np.zeros((*given["input_ids"].shape, 4), np.float32)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return word_models.bm42(tmp_path)


def vectors(model: bm42.Bm42Model, texts: Sequence[str], direction: Any, **options: Any) -> SparseVectors:
    found = embed(model, Batch(texts, direction, options)).vectors
    assert isinstance(found, SparseVectors)
    return found


def test_queries_have_the_numbers_of_bm25_and_no_network_runs(folder: Path) -> None:
    model = bm42.Bm42Model(CARD, folder, NoNetwork(), lambda rows: rows)
    found = vectors(model, ["cookies, the cookie", "of the!"], "search")
    assert (found[0].indices.tolist(), found[0].values.tolist()) == ([112174620], [1.0])  # Qdrant's page has it
    assert len(found[1].indices) == 0
    assert {batch.direction for batch in model.samples()} == {"update"}


def test_a_document_is_weighed_by_alpha(folder: Path) -> None:
    model = bm42.load(CARD, folder, CPU)
    plain, linear = (vectors(model, ["quick vectors"], "update", **options) for options in ({}, {"alpha": 1.0}))
    assert plain.values**2 == pytest.approx(linear.values)
    assert (np.expm1(linear.values) > 0).all()
    assert np.expm1(linear.values).sum() < 1, "shares of what the first token attends to, itself among it"


def test_an_entry_is_told_by_the_word_that_it_stands_for(folder: Path) -> None:
    model = bm42.load(CARD, folder, CPU)
    text = "the jumping cookies jump"
    (told,) = model.explain(Batch([text], "update"), [[112174620, 5]])
    assert told.words == {112174620: "cookies"}
    (all_told,) = model.explain(Batch([text], "update"), [vectors(model, [text], "update")[0].indices.tolist()])
    assert set(all_told.words.values()) == {"jumping", "cookies"}
    assert all_told.tokens[:2] == ["[CLS]", "the"]


def test_it_passes_the_check_of_models_that_are_added(folder: Path) -> None:
    told = self_check(bm42.load(CARD, folder, CPU), CARD)
    assert "update: sparse, 2 entries for 'A cup of tea'" in told


def test_stop_words_are_needed(folder: Path) -> None:
    (folder / "stopwords.txt").unlink()
    with pytest.raises(ModelFilesError, match=r"stopwords\.txt"):
        bm42.load(CARD, folder, CPU)


def test_a_tokenizer_that_makes_no_word_pieces_is_refused(folder: Path) -> None:
    tiny.byte_pairs().save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match="words are made of word pieces"):
        bm42.load(CARD, folder, CPU)


def test_a_checkpoint_of_distilbert_gives_shares_too(folder: Path) -> None:
    tensors, config = distilbert(tiny.word_pieces("°€").get_vocab_size())
    tiny.write_as(folder, tensors, config)
    found = vectors(bm42.load(CARD, folder, CPU), ["quick vectors"], "update", alpha=1.0)
    assert 0 < np.expm1(found.values).sum() < 1


def test_a_ready_file_without_attentions_is_refused() -> None:
    run = partial(bm42._run_ready, Hidden(), *(np.ones((2, 3), np.int32), np.full(2, 3), np.zeros((2, 3), np.int32)))
    with pytest.raises(ModelError, match="the ONNX file gives no attentions"):
        run(output=None)


def test_an_architecture_that_turns_its_queries_is_refused(folder: Path) -> None:
    tiny.write_as(folder, *modernbert(100))
    with pytest.raises(ModelError, match="the attention of 'modernbert' cannot be told here, only that of BERT"):
        bm42.load(CARD, folder, CPU)
