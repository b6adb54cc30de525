from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.options import check_options
from deployments.contract import Batch, Direction, Embeddings
from deployments.families import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process

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
