"""How inputs share a run: which ones go well together, and what the model computes for them.

A layout is chosen with the network that it feeds, and travels with each prepared batch to where runs are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

_RUN = 32
"""What a run costs beside its tokens, in tokens: about 2 ms for a small model on two cores."""

EXACT_UP_TO = 32
"""Tokens of a single short text, whose exact length is faster than one of few shapes."""

_STEP = 8


def padded_length(tokens: int) -> int:
    """The length to which a row is filled up when the longest text has `tokens` tokens.

    OpenVINO compiles and caches kernels for every shape it meets. Few lengths mean few shapes; below 32 tokens, a
    single short text, the exact length is faster.
    """
    return tokens if tokens <= EXACT_UP_TO else -(-tokens // _STEP) * _STEP


@dataclass(frozen=True)
class Layout:
    """Each input is computed by itself: nothing is filled up, and any company is as good as any other."""

    def choose(self, tokens: Sequence[int], wanted: int, budget: int) -> Sequence[int]:
        """The places of the inputs for the next run: of ascending `tokens`, the one at `wanted` and its company.

        That is first the shorter ones, then, if there is room, those that are as long or longer. What is computed for
        them is about `budget` tokens at most, unless one input alone is longer.
        """
        start, end, room = wanted, wanted + 1, budget - tokens[wanted]
        while start > 0 and tokens[start - 1] <= room:
            start -= 1
            room -= tokens[start]
        while end < len(tokens) and tokens[end] <= room:
            room -= tokens[end]
            end += 1
        return range(start, end)

    def computed(self, tokens: Sequence[int]) -> int:
        """How many tokens a run with these inputs computes, padding included."""
        return sum(tokens)


@dataclass(frozen=True)
class Padded(Layout):
    """Each text has a row of its own, filled up to the longest one's length, at most the context window."""

    window: int

    @override
    def choose(self, tokens: Sequence[int], wanted: int, budget: int) -> Sequence[int]:
        """Those of like length, whose company costs least for each token.

        Each slice that is looked at is as long as the budget lets it be, counted from its longest input down.
        """
        best, best_cost = range(wanted, wanted + 1), float("inf")
        for last in range(wanted, len(tokens)):
            padded = padded_length(tokens[last])
            rows = max(1, budget // max(1, padded))
            start = max(0, last + 1 - rows)
            if start > wanted:
                break
            cost = (_RUN + padded * (last + 1 - start)) / max(1, sum(tokens[start : last + 1]))
            if cost < best_cost:
                best, best_cost = range(start, last + 1), cost
        return best

    @override
    def computed(self, tokens: Sequence[int]) -> int:
        return self.row_length(tokens) * len(tokens)

    def row_length(self, tokens: Sequence[int]) -> int:
        """How long each row is. No longer than the context window: the model may have no more positions."""
        return min(padded_length(max(tokens)), self.window)
