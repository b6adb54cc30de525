from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contract import Batch, DenseVectors, MultiVectors, SparseVector, SparseVectors
from deployments.errors import InternalError
from deployments.families.chunks import cut, join, pack, padded_length
from deployments.families.protocol import Positions, Prepared

token_counts = st.lists(st.integers(0, 600), min_size=1, max_size=80).map(lambda counts: np.array(counts, np.int64))
budgets = st.integers(1, 3000)


def prepared(tokens: np.ndarray) -> Prepared:
    return Prepared(Batch(["text"] * len(tokens), "update"), list(tokens), tokens, truncated=3)


def dense(positions: Positions) -> DenseVectors:
    return DenseVectors(positions[:, None].astype(np.float32))


def sparse(positions: Positions) -> SparseVectors:
    """Input i has i % 3 entries, all of value i."""
    return pack([SparseVector(np.arange(i % 3, dtype=np.uint32), np.full(i % 3, i, np.float32)) for i in positions])


def multi(positions: Positions) -> MultiVectors:
    """Input i has i % 3 vectors, all of value i."""
    offsets = np.concatenate([[0], (positions % 3).cumsum()])
    return MultiVectors(np.repeat(positions, positions % 3)[:, None].astype(np.float32), offsets)


@given(token_counts, budgets)
def test_every_input_is_in_one_chunk(tokens: np.ndarray, budget: int) -> None:
    assert sorted(np.concatenate(cut(tokens, budget)).tolist()) == list(range(len(tokens)))


@given(token_counts, budgets)
def test_a_chunk_with_its_padding_stays_within_the_budget_unless_it_is_one_input(
    tokens: np.ndarray, budget: int
) -> None:
    for chunk in cut(tokens, budget):
        assert len(chunk) == 1 or padded_length(int(tokens[chunk].max())) * len(chunk) <= budget


@given(token_counts, budgets)
def test_chunks_go_from_long_to_short_and_only_the_last_one_has_room_left(tokens: np.ndarray, budget: int) -> None:
    chunks = cut(tokens, budget)
    for chunk, following in itertools.pairwise(chunks):
        assert tokens[chunk].min() >= tokens[following].max()
        assert max(1, padded_length(int(tokens[chunk].max()))) * (len(chunk) + 1) > budget


@given(st.integers(0, 5000))
def test_padding_is_less_than_eight_tokens_and_none_for_short_texts(tokens: int) -> None:
    assert 0 <= padded_length(tokens) - tokens < 8
    assert tokens > 32 or padded_length(tokens) == tokens


@given(token_counts, budgets)
def test_dense_results_come_back_in_input_order(tokens: np.ndarray, budget: int) -> None:
    chunks = cut(tokens, budget)
    embeddings = join(prepared(tokens), chunks, [dense(chunk) for chunk in chunks])
    assert isinstance(embeddings.vectors, DenseVectors)
    assert embeddings.vectors.rows[:, 0].tolist() == list(range(len(tokens)))
    assert embeddings.tokens is tokens
    assert embeddings.truncated == 3


@given(token_counts, budgets)
def test_sparse_results_come_back_in_input_order(tokens: np.ndarray, budget: int) -> None:
    chunks = cut(tokens, budget)
    vectors = join(prepared(tokens), chunks, [sparse(chunk) for chunk in chunks]).vectors
    assert len(vectors) == len(tokens)
    for position in range(len(tokens)):
        vector = vectors[position]
        assert isinstance(vector, SparseVector)
        assert vector.indices.tolist() == list(range(position % 3))
        assert vector.values.tolist() == [position] * (position % 3)


@given(token_counts, budgets)
def test_multivectors_come_back_in_input_order(tokens: np.ndarray, budget: int) -> None:
    chunks = cut(tokens, budget)
    vectors = join(prepared(tokens), chunks, [multi(chunk) for chunk in chunks]).vectors
    assert isinstance(vectors, MultiVectors)
    assert [vectors[position].tolist() for position in range(len(tokens))] == [
        [[position]] * (position % 3) for position in range(len(tokens))
    ]


def test_a_result_with_a_vector_too_few_is_an_error() -> None:
    tokens = np.array([5, 4, 3])
    with pytest.raises(InternalError, match="another number of vectors"):
        join(prepared(tokens), [np.arange(3)], [dense(np.arange(2))])


def test_an_input_that_was_run_twice_is_an_error() -> None:
    tokens = np.array([5, 4])
    with pytest.raises(InternalError, match="each of its inputs once"):
        join(prepared(tokens), [np.array([0, 0])], [dense(np.arange(2))])


def test_vectors_of_different_kinds_in_one_batch_are_an_error() -> None:
    tokens = np.array([5, 4])
    with pytest.raises(InternalError, match="different kinds"):
        join(prepared(tokens), [np.array([0]), np.array([1])], [dense(np.arange(1)), sparse(np.arange(1))])
