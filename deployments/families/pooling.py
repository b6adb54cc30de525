"""From one vector a token to one a text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deployments.contract import Floats, MultiVectors

Pooling = Callable[[MultiVectors], Floats]
"""From the hidden states of texts to one row a text, float32 `[texts, hidden]`."""


def _mean(hidden: MultiVectors) -> Floats:
    sums = np.add.reduceat(hidden.rows, hidden.offsets[:-1])
    return np.divide(sums, np.diff(hidden.offsets)[:, None], dtype=np.float32)


def _cls(hidden: MultiVectors) -> Floats:
    first: Floats = hidden.rows[hidden.offsets[:-1]]
    return first


def _last(hidden: MultiVectors) -> Floats:
    last: Floats = hidden.rows[hidden.offsets[1:] - 1]
    return last


def _max(hidden: MultiVectors) -> Floats:
    highest: Floats = np.maximum.reduceat(hidden.rows, hidden.offsets[:-1])
    return highest


def _weighted_mean(hidden: MultiVectors) -> Floats:
    """Later tokens count more: the first one once, the second one twice (Muennighoff 2022)."""
    starts = np.repeat(hidden.offsets[:-1], np.diff(hidden.offsets))
    weights = (np.arange(len(hidden.rows)) - starts + 1).astype(np.float32)
    sums = np.add.reduceat(hidden.rows * weights[:, None], hidden.offsets[:-1])
    totals = np.add.reduceat(weights, hidden.offsets[:-1])
    return np.divide(sums, totals[:, None], dtype=np.float32)


POOLINGS: dict[str, Pooling] = {
    "mean": _mean,
    "cls": _cls,
    "last": _last,
    "max": _max,
    "weighted-mean": _weighted_mean,
}


def normalize(rows: Floats) -> Floats:
    """Each row of `[rows, dimensions]` divided by its Euclidean length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normalized: Floats = rows / np.maximum(lengths, np.float32(1e-12))
    return normalized
