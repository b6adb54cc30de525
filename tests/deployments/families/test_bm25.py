from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deployments.catalogue.bm25_options import PREFIX_TOKEN_LEN
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.options import check_options
from deployments.contract import Batch, Direction, Embeddings
from deployments.errors import BadOption
from deployments.families import bm25
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from deployments.weighed_cache import WeighedCache

RECIPE = "Recipe for baking chocolate chip cookies"


@pytest.fixture
def embed(starter: Catalogue) -> Any:
    card = starter.find("qdrant/bm25", "test")
    family = load_family(card, None, SessionSettings())

    def run(texts: list[str], direction: Direction = "update", **options: Any) -> Embeddings:
        return in_process.embed(family, Batch(texts, direction, check_options(card, options, "options")))

    return run


def test_a_document_has_the_figures_of_qdrants_documentation(embed: Any) -> None:
    vector = embed([RECIPE]).vectors[0]
    assert vector.indices.tolist() == [112174620, 177304315, 662344706, 771857363, 1617337648]
    assert vector.values == pytest.approx(1.6697302)
    assert vector.indices.dtype == np.uint32
    assert vector.values.dtype == np.float32


def test_a_query_has_a_one_for_each_of_its_terms(embed: Any) -> None:
    vector = embed(["cookies, cookies and chocolate"], "search").vectors[0]
    assert vector.values.tolist() == [1.0, 1.0]


def test_tokens_are_counted_as_often_as_they_occur_without_stop_words(embed: Any) -> None:
    many = "cookies " * 700
    for direction in ("update", "search"):
        embeddings = embed([RECIPE, "the cookies and the cookies", many, ""], direction)
        assert embeddings.tokens.tolist() == [5, 2, 700, 0]


def test_a_text_without_terms_has_an_empty_vector(embed: Any) -> None:
    assert len(embed(["", "cookies"]).vectors[0].indices) == 0


def test_any_unicode_is_read(embed: Any) -> None:
    texts = ["cookies \ud83c", "\0", "🍮", "عاصمة فرنسا", "巴黎是法国的首都", "e\u0301"]
    for direction in ("update", "search"):
        assert [len(embed([text], direction).vectors[0].indices) for text in texts] == [1, 0, 0, 2, 1, 1]


@pytest.mark.parametrize(
    ("options", "terms"),
    [
        ({"stopwords": {"custom": ["cookies"]}, "stemmer": {"type": "none"}}, 5),
        ({"stopwords": "german"}, 6),
        ({"stopwords": {"languages": ["english"], "custom": ["recipe"]}}, 4),
        ({"language": "german"}, 6),
        ({"min_token_len": 5}, 3),
        ({"max_token_len": 4}, 2),
        ({"tokenizer": "prefix", "min_token_len": 2, "max_token_len": 3}, 9),
    ],
)
def test_options_reach_the_library(embed: Any, options: Any, terms: int) -> None:
    assert len(embed([RECIPE], **options).vectors[0].indices) == terms


def test_the_parameters_of_the_formula_reach_the_library(embed: Any) -> None:
    assert embed([RECIPE], k=0.0).vectors[0].values == pytest.approx(1.0)
    assert embed([RECIPE], b=0.0).vectors[0].values == pytest.approx(1.0)
    assert embed([RECIPE], avg_len=5).vectors[0].values == pytest.approx(1.0)


def test_stemming_and_case_follow_the_options(embed: Any) -> None:
    def indices(text: str, **options: Any) -> list[int]:
        found: list[int] = embed([text], **options).vectors[0].indices.tolist()
        return found

    assert indices("cookies") == indices("Cookie")
    assert indices("cookies") != indices("Cookies", lowercase=False)
    assert indices("cookies") != indices("cookies", stemmer={"type": "none"})
    assert indices("maisons", stemmer={"type": "snowball", "language": "french"}) == indices("maison")
    assert indices("ação") != indices("acao")
    assert indices("ação", ascii_folding=True) == indices("acao")


OPTIONS: list[dict[str, Any]] = [
    {},
    {"k": 2.0, "b": 0.3, "avg_len": 10.0},
    {"tokenizer": "prefix", "max_token_len": 5},
    {"tokenizer": "multilingual", "language": "german"},
    {"tokenizer": "whitespace", "lowercase": False},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("direction", ["update", "search"])
def test_a_long_text_in_pieces_has_the_vector_of_the_whole(
    embed: Any, monkeypatch: pytest.MonkeyPatch, direction: Direction, options: dict[str, Any]
) -> None:
    text = " ".join(f"{word}{number % 37}" for number, word in enumerate([*RECIPE.split(), "the", "and"] * 40))
    whole = embed([text], direction, **options)
    monkeypatch.setattr(bm25, "_PIECE", 100)
    pieces = embed([text], direction, **options)
    assert pieces.tokens.tolist() == whole.tokens.tolist()
    assert pieces.vectors[0].indices.tolist() == whole.vectors[0].indices.tolist()
    np.testing.assert_allclose(pieces.vectors[0].values, whole.vectors[0].values, rtol=1e-6)


def test_pieces_end_between_words_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm25, "_PIECE", 10)
    for text in ("", "a", "one two three four", "x" * 35, "a\nb\tc " * 9, "巴黎是法国的首都" * 5):
        pieces = list(bm25._pieces(text))
        assert "".join(pieces) == text
        assert max(map(len, pieces)) <= 10
    assert list(bm25._pieces("one two three")) == ["one two", " three"]


class Counting:
    """The library, and the most that was ever asked of one call of it."""

    def __init__(self, library: Any) -> None:
        self.library, self.asked = library, 0

    def embed_document(self, text: str) -> Any:
        self.asked = max(self.asked, len(text))
        return self.library.embed_document(text)

    def embed_query(self, text: str) -> Any:
        self.asked = max(self.asked, len(text))
        return self.library.embed_query(text)


@pytest.mark.parametrize("tokenizer", ["prefix", "whitespace", "word", "multilingual"])
@pytest.mark.parametrize(
    "text", ["x" * 90_000, "ab " * 30_000, "巴黎是法国的首都" * 10_000], ids=["word", "words", "cjk"]
)
def test_no_call_of_the_library_gets_more_than_a_piece(
    embed: Any, monkeypatch: pytest.MonkeyPatch, tokenizer: str, text: str
) -> None:
    made = bm25._made
    counted: list[Counting] = []

    def counting(options: str) -> Any:
        counted.append(Counting(made(options)))
        return counted[-1]

    monkeypatch.setattr(bm25, "_made", counting)
    monkeypatch.setattr(bm25, "_models", WeighedCache(1_000_000))
    for direction in ("update", "search"):
        embed([text], direction, tokenizer=tokenizer)
    assert 0 < max(one.asked for one in counted) <= bm25._PIECE


def test_one_long_word_has_few_prefixes(embed: Any) -> None:
    for direction, terms in (("update", PREFIX_TOKEN_LEN), ("search", 1)):
        vector = embed(["x" * 80_000], direction, tokenizer="prefix").vectors[0]
        assert len(vector.indices) == terms
    with pytest.raises(BadOption, match="max_token_len: with the tokenizer 'prefix' at most 1000"):
        embed(["x"], tokenizer="prefix", max_token_len=80_000)


def test_what_callers_choose_fills_no_cache(embed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: WeighedCache[bytes, Any] = WeighedCache(200_000)
    monkeypatch.setattr(bm25, "_models", kept)
    for number in range(30):
        embed([RECIPE], stopwords={"custom": [f"word{number}", *(f"w{number}-{i}" for i in range(100))]})
    assert 0 < kept.weight <= 200_000
    assert len(kept) < 30
    embed([RECIPE], stopwords={"custom": ["x" * 15_000]})
    assert kept.weight <= 200_000


TEXT = "The cats are running in the gardens"


@pytest.mark.parametrize("language", ["none", "English", "klingon", ""])
def test_a_language_that_qdrant_does_not_know_has_neither_stemmer_nor_stop_words(embed: Any, language: str) -> None:
    plain = embed([TEXT], stemmer={"type": "none"}, stopwords={}).vectors[0]
    found = embed([TEXT], language=language).vectors[0]
    assert len(found.indices) == 6
    assert found.indices.tolist() == plain.indices.tolist()
    assert found.values.tolist() == plain.values.tolist()


@pytest.mark.parametrize(("code", "name"), [("en", "english"), ("de", "german"), ("zh", "chinese"), ("jp", "japanese")])
def test_a_code_stands_for_its_language(embed: Any, code: str, name: str) -> None:
    by_code, by_name = (embed([TEXT], language=said).vectors[0].indices.tolist() for said in (code, name))
    assert by_code == by_name


def test_a_language_with_a_stemmer_and_without_stop_words_is_stemmed(embed: Any) -> None:
    stemmer = {"type": "snowball", "language": "armenian"}
    word = "\u0574\u0561\u0580\u0564\u056f\u0561\u0576\u0581"
    (short,) = embed([word], language="hy").vectors[0].indices.tolist()
    assert [short] == embed([word], stemmer=stemmer, stopwords={}).vectors[0].indices.tolist()
    assert [short] != embed([word], language="none").vectors[0].indices.tolist()


def test_what_is_said_of_stop_words_goes_before_the_language(embed: Any) -> None:
    assert len(embed([TEXT], language="none", stopwords="english").vectors[0].indices) == 3


def test_the_tokenizer_for_code_is_there(embed: Any) -> None:
    assert len(embed(["readFile_name"], tokenizer="code", language="none").vectors[0].indices) > 1
