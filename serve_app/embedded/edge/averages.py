"""Recommendation by an average, which the engine does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import qdrant_edge as edge

from serve_app.embedded.engine.errors import wrong_input


def average(positive: list[Any], negative: list[Any]) -> Any:
    """The vector of a recommendation: the mean of what is wanted, moved away from the mean of what is not.

    Lists of vectors are put one after the other instead.
    """
    if not positive:
        raise wrong_input("Positive vectors should not be empty with `average` strategy")
    wanted, unwanted = _mean(positive), _mean(negative) if negative else None
    if unwanted is None:
        return wanted
    if isinstance(wanted, edge.SparseVector):
        return _combined([(wanted, 2.0), (unwanted, -1.0)])
    if isinstance(wanted[0], list):
        return [*wanted, *([-value for value in row] for row in unwanted)]
    return (2 * np.asarray(wanted, np.float32) - np.asarray(unwanted, np.float32)).tolist()


def _mean(vectors: list[Any]) -> Any:
    if isinstance(vectors[0], edge.SparseVector):
        return _combined([(one, 1 / len(vectors)) for one in vectors])
    if isinstance(vectors[0][0], list):
        return [row for one in vectors for row in one]
    return np.mean(np.asarray(vectors, np.float32), axis=0).tolist()


def _combined(weighted: list[tuple[edge.SparseVector, float]]) -> edge.SparseVector:
    sums: dict[int, float] = {}
    for one, weight in weighted:
        for index, value in zip(one.indices, one.values, strict=True):
            sums[index] = sums.get(index, 0.0) + weight * value
    indices = sorted(sums)
    return edge.SparseVector(indices, [sums[index] for index in indices])
