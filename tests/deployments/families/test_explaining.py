"""How models say that they read a text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch
from deployments.errors import WrongInput
from deployments.families.bm25 import Bm25Model
from deployments.families.loading import load_family
from deployments.families.protocol import HasVocabulary, ReadsText
from deployments.families.tokenizing import TextTokenizer
from deployments.networks.settings import SessionSettings

TEXT = "Recipe for baking chocolate-chip cookies"
DENSE = "sentence-transformers/all-minilm-l6-v2"


@pytest.fixture(scope="module")
def tokenizer(model_folder: Callable[[str], Path]) -> TextTokenizer:
    return TextTokenizer(model_folder(DENSE) / "tokenizer.json", 16)


def test_tokens_stand_where_their_text_stands(tokenizer: TextTokenizer) -> None:
    (explanation,) = tokenizer.explain(["Käse 🍪 cookies"], [[]])
    assert list(explanation.tokens) == ["[CLS]", "ka", "##se", "[UNK]", "cookies", "[SEP]"]
    assert explanation.spans == [None, (0, 2), (2, 4), (5, 6), (7, 14), None]
    assert (explanation.truncated_at, explanation.cut) == (None, 0)


def test_a_long_text_says_where_it_was_cut(tokenizer: TextTokenizer) -> None:
    (explanation,) = tokenizer.explain(["word " * 100], [[]])
    assert (explanation.truncated_at, explanation.cut) == (14 * 5 - 1, 86)
    assert len(explanation.tokens) == 16


def test_a_text_that_fills_the_window_is_not_cut(tokenizer: TextTokenizer) -> None:
    (explanation,) = tokenizer.explain(["word " * 14], [[]])
    assert (explanation.truncated_at, explanation.cut) == (None, 0)


def test_half_a_surrogate_pair_is_no_trouble(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.explain(["a \ud83c b"], [[]])) == 1


def test_indices_are_tokens_of_the_vocabulary(tokenizer: TextTokenizer) -> None:
    (explanation,) = tokenizer.explain(["x"], [[16324, 10**9]])
    assert explanation.words == {16324: "cookies"}


def test_token_ids_become_texts_that_have_the_same_ids(tokenizer: TextTokenizer) -> None:
    ids, _ = tokenizer.encode(["baking chocolate cookies"])
    assert tokenizer.texts(ids) == ["baking chocolate cookies"]


@pytest.mark.parametrize("number", [-1, 30522, 2**40])
def test_a_token_id_out_of_the_vocabulary_is_refused(tokenizer: TextTokenizer, number: int) -> None:
    with pytest.raises(WrongInput, match="ends at 30521"):
        tokenizer.texts([[1, number]])


def test_bm25_names_the_words_behind_its_hashes() -> None:
    model = Bm25Model()
    batch = Batch([TEXT], "update")
    vector = model.run(model.prepare(batch), [0])[0]  # type: ignore[arg-type]
    (explanation,) = model.explain(batch, [vector.indices.tolist()])
    assert list(explanation.tokens) == ["Recipe", "baking", "chocolate", "chip", "cookies"]
    assert [TEXT[start:end] for start, end in explanation.spans] == list(explanation.tokens)  # type: ignore[misc]
    assert set(explanation.words) == set(vector.indices.tolist())
    assert explanation.words[1617337648] == "Recipe"


def test_bm25_keeps_to_its_options() -> None:
    batch = Batch(["das Backen"], "search", {"language": "german"})
    model = Bm25Model()
    vector = model.run(model.prepare(batch), [0])[0]  # type: ignore[arg-type]
    (explanation,) = model.explain(batch, [vector.indices.tolist()])
    assert list(explanation.words.values()) == ["Backen"]


def test_which_models_can_be_asked(starter: Catalogue, model_folder: Callable[[str], Path]) -> None:
    settings = SessionSettings(threads=1)
    vision = load_family(
        starter.find("starter/clip-shapes-vision", "test"), model_folder("starter/clip-shapes-vision"), settings
    )
    assert not isinstance(vision, ReadsText)
    assert isinstance(Bm25Model(), ReadsText)
    assert not isinstance(Bm25Model(), HasVocabulary)
