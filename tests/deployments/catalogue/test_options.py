from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import qdrant_edge

from deployments.catalogue.bm25_options import Bm25Options
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.languages import Language, SnowballLanguage
from deployments.catalogue.options import check_options
from deployments.errors import BadOption

SCHEMAS = json.loads((Path(__file__).parents[2] / "data" / "qdrant-openapi.json").read_text())["components"]["schemas"]
WHERE = "points[0].vector.options"


def check(starter: Catalogue, model: str, options: dict[str, Any]) -> dict[str, Any]:
    return check_options(starter.find(model, "test"), options, WHERE)


def test_the_options_are_those_of_qdrants_schema() -> None:
    assert set(Bm25Options.model_fields) == set(SCHEMAS["Bm25Config"]["properties"])
    assert list(get_args(Language)) == SCHEMAS["Language"]["enum"]
    assert list(get_args(SnowballLanguage)) == SCHEMAS["SnowballLanguage"]["enum"]


@pytest.mark.parametrize(
    ("names", "enum"), [(Language, qdrant_edge.Language), (SnowballLanguage, qdrant_edge.SnowballLanguage)]
)
def test_the_library_has_every_language(names: Any, enum: Any) -> None:
    assert {name.capitalize() for name in get_args(names)} <= set(dir(enum))


def test_good_options_come_back_as_plain_values_without_nulls(starter: Catalogue) -> None:
    options = {"k": 1, "b": None, "stopwords": "german", "stemmer": {"type": "none"}, "tokenizer": "word"}
    assert check(starter, "qdrant/bm25", options) == {
        "k": 1.0,
        "stopwords": {"languages": ["german"]},
        "stemmer": {"type": "none"},
        "tokenizer": "word",
    }


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"k": -0.1}, "k: "),
        ({"k": float("nan")}, "k: "),
        ({"k": "1.2"}, "k: "),
        ({"b": 1.1}, "b: "),
        ({"b": True}, "b: "),
        ({"avg_len": 0}, "avg_len: "),
        ({"tokenizer": "unknown"}, "'prefix', 'whitespace', 'word', 'multilingual' or 'code'"),
        ({"language": 3}, "language: "),
        ({"stopwords": "klingon"}, "stopwords.languages.0: "),
        ({"stemmer": {"type": "porter"}}, "'snowball', 'none'"),
        ({"stemmer": {"type": "snowball"}}, "language: "),
        ({"min_token_len": -1}, "min_token_len: "),
        ({"max_token_len": 1.5}, "max_token_len: "),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(starter: Catalogue, options: Any, named: str) -> None:
    with pytest.raises(BadOption, match=r"^points\[0\]\.vector\.options: ") as caught:
        check(starter, "qdrant/bm25", options)
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"mrl_": 3, "mrl": 64, "k": 1.5}, {"k": 1.5}),
        ({"stopwords": {"words": [], "custom": ["a"]}}, {"stopwords": {"custom": ["a"]}}),
        ({"stopwords": "en"}, {"stopwords": {"languages": ["english"]}}),
        ({"stemmer": {"type": "snowball", "language": "de"}}, {"stemmer": {"type": "snowball", "language": "german"}}),
        ({"language": "Klingon"}, {"language": "Klingon"}),
    ],
)
def test_bm25_is_as_lenient_as_qdrants(starter: Catalogue, options: dict[str, Any], read: dict[str, Any]) -> None:
    assert check(starter, "BM25", options) == read


def test_every_language_that_passes_is_taken_by_the_library(starter: Catalogue) -> None:
    for language in get_args(Language):
        qdrant_edge.Bm25(qdrant_edge.Bm25Config(**check(starter, "qdrant/bm25", {"language": language})))


def test_other_models_take_no_options(starter: Catalogue) -> None:
    assert check(starter, "starter/splade-tiny", {}) == {}
    with pytest.raises(BadOption, match="'starter/splade-tiny' has no option 'k'; its options: none"):
        check(starter, "starter/splade-tiny", {"k": 1.0})


@pytest.mark.slow
def test_checking_imports_nothing_heavy() -> None:
    script = (
        "import sys, deployments.catalogue.options, deployments.families.protocol\n"
        "assert not {'onnxruntime', 'tokenizers', 'qdrant_edge', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
