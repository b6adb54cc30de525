"""miniCOIL, beside what tests/parity holds against fastembed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.catalogue.word_files import TABLE, VOCABULARY
from deployments.contract import Batch, Floats, Running, SparseVectors
from deployments.errors import ModelError, ModelFilesError
from deployments.families import minicoil
from deployments.networks.layouts import Layout
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from deployments.onboarding.self_check import self_check
from tests.support import tiny, word_models

CARD = tiny.card(family="minicoil", dimensions=None, pooling=None)
CPU = SessionSettings(provider="cpu", precision="float32")
BAT = 4 * (1 + word_models.KNOWN.index("bat"))
HIDDEN = 24


class Pooled:
    """A network that gives a row a text."""

    layout = Layout()
    running = Running(None, None)

    def __call__(self, texts: Sequence[Sequence[int]], *_: Any) -> Floats:
        return np.zeros((len(texts), HIDDEN), np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return word_models.minicoil(tmp_path)


def vector(folder: Path, text: str, direction: Any, **options: Any) -> dict[int, float]:
    found = embed(minicoil.load(CARD, folder, CPU), Batch([text], direction, options)).vectors
    assert isinstance(found, SparseVectors)
    return dict(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def test_words_that_are_not_in_the_vocabulary_stand_behind_it(folder: Path) -> None:
    """By the size of minicoil-v1's vocabulary, and an example of its model card."""
    words = [f"word{number}" for number in range(19_124)]
    (folder / VOCABULARY).write_text(json.dumps({"vocab": words, "stem_mapping": {}}))
    np.save(folder / TABLE, np.zeros((1 + len(words), HIDDEN, 4), np.float16))
    assert vector(folder, "baseball", "search") == {2068153269: 1.0}


def test_a_word_of_the_vocabulary_has_a_vector_of_length_one_in_queries(folder: Path) -> None:
    found = vector(folder, "bats: a bat", "search")
    assert list(found) == [BAT, BAT + 1, BAT + 2, BAT + 3]
    assert np.linalg.norm(list(found.values())) == pytest.approx(1)


def test_documents_are_weighed_by_bm25(folder: Path) -> None:
    """Four words count, of which bats twice; the vector is that of the same words in a query."""
    text = "bats: a bat flies home"
    options = {"k": 2.0, "b": 0.5, "avg_len": 8.0}
    twice = 2 * 3 / (2 + 2 * (1 - 0.5 + 0.5 * 4 / 8))
    plain, weighed = vector(folder, text, "search"), vector(folder, text, "update", **options)
    once = 3 / (1 + 2 * (1 - 0.5 + 0.5 * 4 / 8))
    assert weighed == pytest.approx({at: value * (twice if at < BAT + 4 else once) for at, value in plain.items()})


def test_an_entry_is_told_by_its_word_and_which_number_of_it_this_is(folder: Path) -> None:
    model = minicoil.load(CARD, folder, CPU)
    text = "the bats jumped home"
    (told,) = model.explain(Batch([text], "search"), [[*vector(folder, text, "search"), 1]])
    known = {f"{word} {part}/4" for word in ("bat", "jump") for part in range(1, 5)}
    assert set(told.words.values()) == known | {"home"}
    assert told.words[BAT + 1] == "bat 2/4"


def test_it_passes_the_check_of_models_that_are_added(folder: Path) -> None:
    told = self_check(minicoil.load(CARD, folder, CPU), CARD)
    assert "search: sparse, 2 entries for 'A cup of tea'" in told


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (VOCABULARY, b"[", r"\.vocab: "),
        (VOCABULARY, b'{"vocab": ["a"]}', r"\.vocab: 'stem_mapping'"),
        (VOCABULARY, b'{"vocab": ["a"], "stem_mapping": {"b": "c"}}', r"'stem_mapping' names 'c', which is not in"),
        (VOCABULARY, b'{"vocab": ["a"], "stem_mapping": {}}', r"\.npy: expected 2 matrices"),
        (TABLE, b"nothing", r"\.npy: "),
    ],
)
def test_a_damaged_file_is_named(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ModelFilesError, match=message):
        minicoil.load(CARD, folder, CPU)


def test_a_file_that_gives_no_row_a_token_is_refused(folder: Path) -> None:
    model = minicoil.MiniCoilModel(CARD, folder, Pooled())
    with pytest.raises(ModelError, match="the ONNX file gives no row a token"):
        embed(model, Batch(["bats"], "search"))
