"""What waits for a model: inputs of many batches in one queue, from which chunks of like length are taken.

The more inputs there are to choose from, the less is computed in vain: which go well together, the model's layout says.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar

from deployments.networks.layouts import Layout

Owner = TypeVar("Owner")
_by_tokens = attrgetter("tokens")
_number = itertools.count()


@dataclass(eq=False)
class Waiting(Generic[Owner]):
    """One input: what the family made of it, how many tokens the model will read, and whose it is."""

    item: Any
    tokens: int
    owner: Owner
    position: int
    taken: bool = field(default=False, init=False)


class InputQueue(Generic[Owner]):
    """Inputs that may run together. Not safe to use from several threads at once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._by_length: list[Waiting[Owner]] = []
        self._by_urgency: list[tuple[float, int, Waiting[Owner]]] = []

    def __len__(self) -> int:
        return len(self._by_length)

    def add(self, inputs: Iterable[Waiting[Owner]], due: float) -> None:
        """Put inputs in; what is due earlier is taken before what is due later, equal ones in their order."""
        for one in inputs:
            self._by_length.append(one)
            heapq.heappush(self._by_urgency, (due, next(_number), one))
        self._by_length.sort(key=_by_tokens)

    def discard(self, owner: Owner) -> None:
        """Take out all inputs of an owner who does not want them any more."""
        for one in self._by_length:
            one.taken = one.taken or one.owner is owner
        self._by_length = [one for one in self._by_length if not one.taken]

    def owners(self) -> set[Owner]:
        """All whose inputs wait."""
        return {one.owner for one in self._by_length}

    @property
    def tokens(self) -> int:
        """How many tokens wait."""
        return sum(one.tokens for one in self._by_length)

    @property
    def due(self) -> float:
        """When its most urgent input is due; infinite if nothing waits."""
        while self._by_urgency and self._by_urgency[0][2].taken:
            heapq.heappop(self._by_urgency)
        return self._by_urgency[0][0] if self._by_urgency else float("inf")

    def take(self, budget: int, *, in_budget: bool = False) -> Sequence[Waiting[Owner]]:
        """The next chunk: the most urgent input and those that go well with it.

        What is computed for it is about `budget` tokens at most, unless one input alone is longer; empty if nothing
        waits. With `in_budget`, one that is longer lets others go before it, if there are shorter ones.
        """
        if self.due == float("inf"):
            return []
        wanted = self._place(self._by_urgency[0][2])
        if in_budget and self._by_length[wanted].tokens > budget:
            wanted = max(0, bisect_right(self._by_length, budget, key=_by_tokens) - 1)
        chosen = self._layout.choose([one.tokens for one in self._by_length], wanted, budget)
        chunk = [self._by_length[place] for place in chosen]
        for one in chunk:
            one.taken = True
        self._by_length = [one for one in self._by_length if not one.taken]
        return chunk

    def _place(self, wanted: Waiting[Owner]) -> int:
        """Where an input stands among those by length."""
        return self._by_length.index(wanted, bisect_left(self._by_length, wanted.tokens, key=_by_tokens))
