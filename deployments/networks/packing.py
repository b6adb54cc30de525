"""Several texts in one row, one behind the other, none of which attends to another (Krell et al. 2021).

Rows have few lengths, and are nearly full whatever the lengths of the texts: a model computes hardly anything but what
it reads, and OpenVINO, which compiles kernels for every shape, meets few shapes. Attention alone costs more in a longer
row; for a small model, rows of 256 tokens cost a third more than rows of 32.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from deployments.networks.base import Numbers, offsets
from deployments.networks.layouts import EXACT_UP_TO, Layout

_ROW_LENGTHS = (64, 96, 128, 192, 256, 384, 512)
_LONG_STEP = 256
"""Between the lengths of longer rows."""

_ALONE_STEP = 16
"""Between the lengths of a row alone: finer than those of several rows, whose number varies, too."""
_SHORT, _SHORT_STEP = 32, 8
"""Up to so many tokens, a query alone, it is finer again."""

_PIECE = 8
"""Tokens in a piece of a text: what is computed for a vocabulary leaves the graph as an eighth of what it is for all
tokens, and a text takes three or four slots in vain."""
_PIECES_STEP = 4
"""More pieces than so many come in multiples of it, so that OpenVINO meets few shapes."""

_TOO_MUCH = 0.1
"""The share of a run that may be padding before longer rows are tried."""


@dataclass(frozen=True)
class Arrangement:
    """Where each text stands: `starts[i]` is the place of text i's first token, counted over all rows."""

    rows: int
    row_length: int
    starts: Sequence[int]

    @property
    def size(self) -> int:
        """How many tokens there is room for."""
        return self.rows * self.row_length


@dataclass(frozen=True)
class PackedTokens:
    """What a packed graph reads, each int32 `[rows, tokens]`, and where the texts' tokens stand in its output.

    `positions` are those within a text. A token attends to those whose number in `attended` is its own in `texts`: that
    of its text, from 1 on. Padding, 0 in both, keeps to itself. `segments` has 1 in the second part of a pair. `places`
    int64 `[sum of tokens]` counts over all rows.
    """

    ids: Numbers
    positions: Numbers
    texts: Numbers
    attended: Numbers
    segments: Numbers
    places: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Packed texts cut into pieces of a few tokens.

    `slots` int32 `[pieces, tokens]` has the places of each piece's tokens, counted over all rows; the last piece of a
    text is filled up with its first token. Text i has the pieces from `offsets[i]` to `offsets[i + 1]`, int64
    `[texts + 1]`; what stands behind them is no text's.
    """

    slots: Numbers
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packed(Layout):
    """Texts of any length share rows."""

    @override
    def choose(self, tokens: Sequence[int], wanted: int, budget: int) -> Sequence[int]:
        """Rows as long as the wanted input needs, each filled with the longest that fit into what is left of it."""
        length = next(_row_lengths(tokens[wanted]))
        left, places = list(tokens), list(range(len(tokens)))
        chosen, room = [places.pop(wanted)], length - left.pop(wanted)
        for _ in range(max(1, budget // length)):
            while fits := bisect_right(left, room):
                room -= left.pop(fits - 1)
                chosen.append(places.pop(fits - 1))
            room = length
        return chosen

    @override
    def computed(self, tokens: Sequence[int]) -> int:
        return arrange(tokens).size


def arrange(tokens: Sequence[int]) -> Arrangement:
    """The first row length that leaves few gaps with texts of these lengths, or the one that needs fewest tokens."""
    total = sum(tokens)
    best: Arrangement | None = None
    for length in _row_lengths(max(tokens)):
        tried = _fill(tokens, length)
        if best is None or tried.size < best.size:
            best = tried
        if total >= (1 - _TOO_MUCH) * best.size or tried.rows == 1:
            break
    assert best is not None  # noqa: S101  there is always a row length
    return best


def pack(texts: Sequence[Sequence[int]], attended: Sequence[int], firsts: Sequence[int] | None = None) -> PackedTokens:
    """Texts in rows; of text i, the first `attended[i]` tokens are attended to. Pairs as `Network` has them."""
    tokens = [len(text) for text in texts]
    arrangement = arrange(tokens)
    ids, positions, numbers, seen, segments = np.zeros((5, arrangement.size), np.int32)
    for number, (text, start, count) in enumerate(zip(texts, arrangement.starts, attended, strict=True), 1):
        end = start + len(text)
        ids[start:end] = text
        positions[start:end] = np.arange(len(text))
        numbers[start:end] = number
        seen[start : start + count] = number
        seen[start + count : end] = -1
    places = np.concatenate([np.arange(start, start + n) for start, n in zip(arrangement.starts, tokens, strict=True)])
    for start, count, first in zip(arrangement.starts, tokens, firsts or (), strict=False):
        segments[start + first : start + count] = 1
    shape = arrangement.rows, arrangement.row_length
    ids, positions, numbers, seen, segments = (
        part.reshape(shape) for part in (ids, positions, numbers, seen, segments)
    )
    return PackedTokens(ids, positions, numbers, seen, segments, places)


def in_pieces(rows: PackedTokens, tokens: Sequence[int]) -> Pieces:
    """The pieces of packed texts with so many tokens each. A text alone, as short as a query, is one piece."""
    size = tokens[0] if len(tokens) == 1 and tokens[0] <= EXACT_UP_TO else _PIECE
    counts = -(-np.array(tokens) // size)
    bounds = offsets(counts.tolist())
    starts, ends = np.repeat(rows.places[offsets(tokens)[:-1]], counts), np.repeat(tokens, counts)
    number = np.arange(bounds[-1]) - np.repeat(bounds[:-1], counts)
    within = number[:, None] * size + np.arange(size)
    places = starts[:, None] + np.where(within < ends[:, None], within, 0)
    step = _PIECES_STEP if len(places) > _PIECES_STEP else 1
    more = np.zeros((-len(places) % step, size), np.int64)
    return Pieces(np.concatenate([places, more]).astype(np.int32), bounds)


def _row_lengths(longest: int) -> Iterator[int]:
    """The row lengths into which a text fits, ascending."""
    last = _ROW_LENGTHS[-1]
    yield from (length for length in _ROW_LENGTHS if length >= longest)
    if longest > last:
        yield -(-longest // _LONG_STEP) * _LONG_STEP


def _fill(tokens: Sequence[int], length: int) -> Arrangement:
    """The longest texts first, each in the first row that has room for it; a row alone is only as long as needed."""
    used: list[int] = []
    starts = [0] * len(tokens)
    for text in sorted(range(len(tokens)), key=tokens.__getitem__, reverse=True):
        row = next((row for row, taken in enumerate(used) if taken + tokens[text] <= length), len(used))
        if row == len(used):
            used.append(0)
        starts[text] = row * length + used[row]
        used[row] += tokens[text]
    step = _SHORT_STEP if used[0] <= _SHORT else _ALONE_STEP
    alone = -(-used[0] // step) * step
    return Arrangement(len(used), length if len(used) > 1 else alone, starts)
