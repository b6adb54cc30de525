"""What a provider answered: somebody else's input, which is checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.contract import Floats

MOST_DIMENSIONS = 65_536
"""Of a vector; Qdrant takes no longer ones."""

_MOST_TOKENS = 1_000_000_000
_CHARACTERS_A_TOKEN = 4


class UnsoundAnswerError(Exception):
    """A provider's answer is not what its API promises; says in which way, and quotes nothing of it."""


@dataclass(frozen=True)
class Answer:
    """What an answer holds: a list of vectors that are not checked yet, and all tokens, if it says so."""

    vectors: Sequence[Any]
    tokens: int | None


def rows(vectors: Any, count: int, dimensions: int | None) -> Floats:
    """Vectors as an array of float32 `[count, dimensions]`.

    Raises:
        UnsoundAnswerError: they are not as many, not of one length or of another one than `dimensions`, or not finite.
    """
    if not isinstance(vectors, list) or len(vectors) != count:
        raise UnsoundAnswerError(
            f"gave {len(vectors) if isinstance(vectors, list) else 'no'} vectors for {count} inputs"
        )
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            array = np.asarray(vectors, np.float32)
    except (ValueError, TypeError, OverflowError):
        raise UnsoundAnswerError("gave something else than vectors of one length") from None
    if array.ndim != 2 or not 1 <= array.shape[1] <= MOST_DIMENSIONS:  # noqa: PLR2004
        raise UnsoundAnswerError("gave something else than vectors of one length")
    if dimensions is not None and array.shape[1] != dimensions:
        raise UnsoundAnswerError(f"gave vectors of {array.shape[1]} numbers, not of {dimensions}")
    if not np.isfinite(array).all():
        raise UnsoundAnswerError("gave a vector with numbers that are not finite")
    return array


def in_order(items: Any) -> list[Any]:
    """The embeddings of OpenAI's list `data`, each at the place that its `index` says; without any, as they stand.

    Raises:
        UnsoundAnswerError: it is no such list, or the indices are not those from 0 on, each once.
    """
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise UnsoundAnswerError("gave no list of vectors")
    places = [item.get("index") for item in items]
    if all(place is None for place in places):
        return [item.get("embedding") for item in items]
    if not all(type(place) is int for place in places) or sorted(places) != list(range(len(items))):
        raise UnsoundAnswerError("gave vectors whose indices are not those of the inputs")
    ordered: list[Any] = [None] * len(items)
    for place, item in zip(places, items, strict=True):
        ordered[place] = item.get("embedding")
    return ordered


def count(usage: Any, *names: str) -> int | None:
    """The first of these numbers in a provider's usage; None if it has none that could be a number of tokens."""
    for name in names:
        value = usage.get(name) if isinstance(usage, Mapping) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is int and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def spread(tokens: int | None, sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """The tokens of each input: its share of what the provider counted for all, by its size in characters.

    The shares add up to what was counted. Without a count it is estimated.
    """
    weights = np.maximum(np.asarray(sizes, np.float64), 1.0)
    if tokens is None:
        return np.ceil(weights / _CHARACTERS_A_TOKEN).astype(np.int64)
    ends = np.floor(np.cumsum(weights) / weights.sum() * tokens + 0.5).astype(np.int64)
    ends[-1] = tokens
    shares: npt.NDArray[np.int64] = np.diff(ends, prepend=np.int64(0))
    return shares
