"""What the starter models do with texts; their numbers are held against other software in tests/parity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from deployments.contract import SparseVector
from tests.parity.inputs import TEXTS

pytestmark = pytest.mark.slow

MINILM = "sentence-transformers/all-minilm-l6-v2"
SPLADE = "starter/splade-tiny"
ONE_CHUNK = 10**6


def weights(vector: SparseVector) -> np.ndarray:
    row = np.zeros(30522, np.float32)
    row[vector.indices] = vector.values
    return row


def test_tokens_are_counted_with_special_tokens_up_to_the_context_window(embed_with: Any) -> None:
    embeddings = embed_with(MINILM)(["", "a", TEXTS[-1]])
    assert embeddings.tokens.tolist() == [2, 3, 256]
    assert embeddings.truncated == 1


@pytest.mark.parametrize("name", [MINILM, SPLADE])
def test_a_text_alone_equals_the_same_text_in_a_padded_batch(embed_with: Any, provider: str, name: str) -> None:
    embed = embed_with(name, provider=provider, precision="float32")
    together = embed(TEXTS, budget=ONE_CHUNK).vectors
    for position, text in enumerate(TEXTS):
        alone = embed([text]).vectors[0]
        one, other = (
            weights(vector) if isinstance(vector, SparseVector) else vector for vector in (alone, together[position])
        )
        assert np.abs(one - other).max() < 1e-5


def test_splade_vectors_are_ascending_unique_and_above_zero(embed_with: Any) -> None:
    vectors = embed_with(SPLADE)(TEXTS).vectors
    for position in range(len(TEXTS)):
        assert (np.diff(vectors[position].indices.astype(np.int64)) > 0).all()
        assert (vectors[position].values > 0).all()


def test_splade_expands_a_text_with_words_that_it_does_not_have(
    embed_with: Any, model_folder: Callable[[str], Path]
) -> None:
    vector = embed_with(SPLADE)(["the capital of France is Paris"]).vectors[0]
    tokenizer = Tokenizer.from_file(str(model_folder(SPLADE) / "tokenizer.json"))
    strongest = vector.indices[np.argsort(-vector.values)]
    assert [tokenizer.id_to_token(index) for index in strongest[:5]] == ["capital", "paris", "france", "french", "city"]
