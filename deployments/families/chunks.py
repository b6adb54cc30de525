"""Cuts a batch into chunks of a bounded number of tokens, and puts their results together again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deployments.contract import DenseVectors, Embeddings, Floats, MultiVectors, SparseVector, SparseVectors, Vectors
from deployments.errors import InternalError
from deployments.families.protocol import Positions, Prepared

_EXACT_UP_TO = 32
_STEP = 8


def padded_length(tokens: int) -> int:
    """The length to which a chunk is filled up when its longest text has `tokens` tokens.

    OpenVINO compiles and caches kernels for every shape it meets. Few lengths mean few shapes; below 32 tokens, a
    single short text, the exact length is faster.
    """
    return tokens if tokens <= _EXACT_UP_TO else -(-tokens // _STEP) * _STEP


def cut(tokens: npt.NDArray[np.int64], budget: int) -> list[Positions]:
    """The positions of a batch's inputs, chunk by chunk: inputs of like length together, the longest first.

    In each chunk (padded length x rows) is at most `budget`, unless one input alone is longer.
    """
    order = np.argsort(-tokens, kind="stable")
    chunks = []
    start = 0
    while start < len(order):
        rows = max(1, budget // max(1, padded_length(int(tokens[order[start]]))))
        chunks.append(order[start : start + rows])
        start += rows
    return chunks


def join(prepared: Prepared, chunks: Sequence[Positions], results: Sequence[Vectors]) -> Embeddings:
    """The embeddings of a whole batch in the order of its inputs, from the results of its chunks.

    Raises:
        InternalError: there are not as many vectors as inputs, or they are of different kinds.
    """
    if [len(result) for result in results] != [len(chunk) for chunk in chunks]:
        raise InternalError("a model gave another number of vectors than it had inputs")
    positions = np.concatenate(chunks) if chunks else np.empty(0, np.int64)
    if not np.array_equal(np.sort(positions), np.arange(len(prepared.items))):
        raise InternalError("a batch was not cut into each of its inputs once")
    return Embeddings(_in_order(results, np.argsort(positions)), prepared.tokens, prepared.truncated)


def _in_order(results: Sequence[Vectors], order: Positions) -> Vectors:
    """Results laid end to end, then sorted: input i comes from place `order[i]`."""
    dense = [result.rows for result in results if isinstance(result, DenseVectors)]
    if dense and len(dense) == len(results):
        return DenseVectors(np.concatenate(dense)[order])
    sparse = [each[place] for each in results if isinstance(each, SparseVectors) for place in range(len(each))]
    if sparse and len(sparse) == len(order):
        return pack([sparse[place] for place in order])
    multi = [each[place] for each in results if isinstance(each, MultiVectors) for place in range(len(each))]
    if multi and len(multi) == len(order):
        return _pack_multi([multi[place] for place in order])
    raise InternalError("a batch has vectors of different kinds, or none")


def pack(vectors: Sequence[SparseVector]) -> SparseVectors:
    """Sparse vectors laid end to end."""
    offsets = np.cumsum([0, *(len(vector.indices) for vector in vectors)], dtype=np.int64)
    indices = np.concatenate([vector.indices for vector in vectors])
    return SparseVectors(indices, np.concatenate([vector.values for vector in vectors]), offsets)


def _pack_multi(vectors: Sequence[Floats]) -> MultiVectors:
    """Multivectors laid end to end."""
    offsets = np.cumsum([0, *(len(vector) for vector in vectors)], dtype=np.int64)
    return MultiVectors(np.concatenate(vectors), offsets)
