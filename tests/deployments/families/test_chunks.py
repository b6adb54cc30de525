from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deployments.contract import DenseVectors, MultiVectors, SparseVector, SparseVectors
from deployments.families.chunks import cut, together
from deployments.networks.layouts import padded_length

token_counts = st.lists(st.integers(0, 600), min_size=1, max_size=80).map(lambda counts: np.array(counts, np.int64))
budgets = st.integers(1, 3000)


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


def test_dense_vectors_are_rows() -> None:
    vectors = together([np.full(3, position, np.float32) for position in range(4)])
    assert isinstance(vectors, DenseVectors)
    assert vectors.rows[:, 0].tolist() == [0, 1, 2, 3]


def test_sparse_vectors_keep_their_lengths() -> None:
    given = [SparseVector(np.arange(n % 3, dtype=np.uint32), np.full(n % 3, n, np.float32)) for n in range(5)]
    vectors = together(given)
    assert isinstance(vectors, SparseVectors)
    assert [vectors[n].indices.tolist() for n in range(5)] == [[], [0], [0, 1], [], [0]]
    assert [vectors[n].values.tolist() for n in range(5)] == [[], [1], [2, 2], [], [4]]


def test_multivectors_keep_their_lengths() -> None:
    vectors = together([np.full((n, 2), n, np.float32) for n in (2, 1, 3)])
    assert isinstance(vectors, MultiVectors)
    assert [vectors[n].tolist() for n in range(3)] == [[[2, 2]] * 2, [[1, 1]], [[3, 3]] * 3]
