"""Chunks of a bounded number of tokens, and a batch's vectors put together from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from deployments.contract import (
    DenseVectors,
    Floats,
    JoinedVectors,
    MultiVectors,
    SparseVector,
    SparseVectors,
    Vector,
    Vectors,
)
from deployments.families.protocol import Positions
from deployments.networks.layouts import padded_length


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


def together(vectors: Sequence[Vector]) -> Vectors:
    """The vectors of a whole batch, one of each input, all of one kind."""
    first = vectors[0]
    if isinstance(first, tuple):  # of several kinds each
        return JoinedVectors(tuple(cast("Any", together(kind)) for kind in zip(*vectors, strict=True)))
    if isinstance(first, SparseVector):
        return pack(cast("Sequence[SparseVector]", vectors))
    arrays = cast("Sequence[Floats]", vectors)
    return DenseVectors(np.stack(arrays)) if first.ndim == 1 else _pack_multi(arrays)


def pack(vectors: Sequence[SparseVector]) -> SparseVectors:
    """Sparse vectors laid end to end."""
    offsets = np.cumsum([0, *(len(vector.indices) for vector in vectors)], dtype=np.int64)
    indices = np.concatenate([vector.indices for vector in vectors])
    return SparseVectors(indices, np.concatenate([vector.values for vector in vectors]), offsets)


def _pack_multi(vectors: Sequence[Floats]) -> MultiVectors:
    """Multivectors laid end to end."""
    offsets = np.cumsum([0, *(len(vector) for vector in vectors)], dtype=np.int64)
    return MultiVectors(np.concatenate(vectors), offsets)
