"""Sparse models whose queries are looked up in a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.contract import Batch, SparseVectors
from deployments.errors import ModelFilesError
from deployments.families import sparse
from deployments.families.protocol import Family
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from tests.support import tiny
from tests.support.architectures import distilbert

WEIGHTS = {"the": 0.5, "capital": 3.0, "of": 0.25, "[CLS]": 9.0, "##er": 0.0, "a word that no tokenizer knows": 1.0}


def load(folder: Path, **fields: Any) -> Family:
    tokenizer = tiny.word_pieces()
    tokenizer.save(str(folder / "tokenizer.json"))
    tiny.write_as(folder, *distilbert(tokenizer.get_vocab_size()))
    (folder / "idf.json").write_text(json.dumps(WEIGHTS))
    plain = {"family": "sparse", "dimensions": None, "pooling": None}
    return sparse.load(tiny.card(**plain, **fields), folder, SessionSettings(provider="cpu"))


def vectors(family: Family, text: str, direction: Any) -> dict[str, float]:
    found = embed(family, Batch([text], direction)).vectors
    assert isinstance(found, SparseVectors)
    tokenizer = tiny.word_pieces()
    return {tokenizer.id_to_token(index): value for index, value in zip(found[0].indices, found[0].values, strict=True)}


def test_a_query_has_the_weight_of_each_of_its_tokens_once(tmp_path: Path) -> None:
    family = load(tmp_path, query_weights="idf.json")
    assert vectors(family, "The capital of the vectorer", "search") == {"the": 0.5, "capital": 3.0, "of": 0.25}
    assert vectors(family, "", "search") == {}


def test_documents_are_those_of_the_network_without_special_tokens(tmp_path: Path) -> None:
    text = "the capital of text"
    plain = vectors(load(tmp_path), text, "update")
    found = vectors(load(tmp_path, query_weights="idf.json"), text, "update")
    special = {"[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]"}
    assert found == {token: value for token, value in plain.items() if token not in special}
    assert len(found) < len(plain)
    assert all(batch.direction == "update" for batch in load(tmp_path, query_weights="idf.json").samples())


def test_the_logarithm_of_the_logarithm_is_taken_where_the_card_says_so(tmp_path: Path) -> None:
    once, twice = (vectors(load(tmp_path, **fields), "the text", "update") for fields in ({}, {"log_twice": True}))
    assert list(twice) == list(once)
    assert list(twice.values()) == pytest.approx(np.log1p(list(once.values())))


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "idf.json").write_text("[")
    card = tiny.card(family="sparse", dimensions=None, pooling=None, query_weights="idf.json")
    with pytest.raises(ModelFilesError, match=r"idf\.json"):
        sparse.load(card, tmp_path, SessionSettings(provider="cpu"))
