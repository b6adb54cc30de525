"""From one vector a token to one a text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from deployments.contract import Floats

Lengths = npt.NDArray[np.int32]
Pooling = Callable[[Floats, Lengths], Floats]
"""From hidden states `[rows, tokens, hidden]`, of which each row's first `lengths` count, to `[rows, hidden]`."""


def _mean(hidden: Floats, lengths: Lengths) -> Floats:
    counts = np.arange(hidden.shape[1]) < lengths[:, None]
    share = counts.astype(np.float32) / lengths[:, None].astype(np.float32)
    mean: Floats = np.matmul(share[:, None, :], hidden)[:, 0]
    return mean


def _cls(hidden: Floats, _lengths: Lengths) -> Floats:
    first: Floats = hidden[:, 0]
    return first


def _last(hidden: Floats, lengths: Lengths) -> Floats:
    last: Floats = hidden[np.arange(len(hidden)), lengths - 1]
    return last


POOLINGS: dict[str, Pooling] = {"mean": _mean, "cls": _cls, "last": _last}


def normalize(rows: Floats) -> Floats:
    """Each row of `[rows, dimensions]` divided by its Euclidean length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normalized: Floats = rows / np.maximum(lengths, np.float32(1e-12))
    return normalized
