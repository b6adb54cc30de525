"""MiniLM and SPLADE against what transformers computes, text by text without padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from deployments.contract import SparseVector
from deployments.session import _processor_has_bfloat16
from tests.deployments.families.conftest import PROVIDERS

MINILM = "sentence-transformers/all-minilm-l6-v2"
SPLADE = "starter/splade-tiny"
ONE_CHUNK = 10**6


def weights(vector: SparseVector) -> np.ndarray:
    row = np.zeros(30522, np.float32)
    row[vector.indices] = vector.values
    return row


def test_minilm_equals_transformers(embed_with: Any, provider: str, references: Any) -> None:
    embeddings = embed_with(MINILM, provider=provider)(references["texts"])
    assert np.abs(embeddings.vectors.rows - references["minilm"]).max() < 1e-4


def test_tokens_are_counted_with_special_tokens_up_to_the_context_window(embed_with: Any, references: Any) -> None:
    embeddings = embed_with(MINILM)(["", "a", *references["texts"][-1:]])
    assert embeddings.tokens.tolist() == [2, 3, 256]
    assert embeddings.truncated == 1


@pytest.mark.parametrize("name", [MINILM, SPLADE])
def test_a_text_alone_equals_the_same_text_in_a_padded_batch(
    embed_with: Any, provider: str, references: Any, name: str
) -> None:
    embed = embed_with(name, provider=provider)
    together = embed(references["texts"], budget=ONE_CHUNK).vectors
    for position, text in enumerate(references["texts"]):
        alone = embed([text]).vectors[0]
        one, other = (
            weights(vector) if isinstance(vector, SparseVector) else vector for vector in (alone, together[position])
        )
        assert np.abs(one - other).max() < 1e-5


def test_the_order_of_texts_changes_nothing(embed_with: Any, references: Any) -> None:
    embed = embed_with(MINILM)
    rows = embed(references["texts"], budget=64).vectors.rows
    assert np.abs(embed(references["texts"][::-1], budget=64).vectors.rows[::-1] - rows).max() < 1e-5


def test_splade_equals_transformers(embed_with: Any, provider: str, references: Any) -> None:
    vectors = embed_with(SPLADE, provider=provider)(references["texts"]).vectors
    for position in range(len(references["texts"])):
        expected = np.zeros(30522, np.float32)
        entries = references["splade_texts"] == position
        expected[references["splade_indices"][entries]] = references["splade_values"][entries]
        assert np.abs(weights(vectors[position]) - expected).max() < 1e-4


def test_splade_vectors_are_ascending_unique_and_above_zero(embed_with: Any, references: Any) -> None:
    vectors = embed_with(SPLADE)(references["texts"]).vectors
    for position in range(len(references["texts"])):
        assert (np.diff(vectors[position].indices.astype(np.int64)) > 0).all()
        assert (vectors[position].values > 0).all()


def test_splade_expands_a_text_with_words_that_it_does_not_have(
    embed_with: Any, model_folder: Callable[[str], Path]
) -> None:
    vector = embed_with(SPLADE)(["the capital of France is Paris"]).vectors[0]
    tokenizer = Tokenizer.from_file(str(model_folder(SPLADE) / "tokenizer.json"))
    strongest = vector.indices[np.argsort(-vector.values)]
    assert [tokenizer.id_to_token(index) for index in strongest[:5]] == ["capital", "paris", "france", "french", "city"]


@pytest.mark.skipif("openvino" not in PROVIDERS or not _processor_has_bfloat16(), reason="needs OpenVINO and bfloat16")
def test_bfloat16_keeps_the_cosine_to_float32_above_the_promised(embed_with: Any, references: Any) -> None:
    rows = embed_with(MINILM, provider="openvino", precision="auto")(references["texts"]).vectors.rows
    cosines = (rows * references["minilm"]).sum(axis=1)
    assert cosines.min() > 0.9999
    assert cosines.min() < 1 - 1e-6, "this was not bfloat16"
