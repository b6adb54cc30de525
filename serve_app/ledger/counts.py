"""What was used, added up in memory."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Operation = Literal["update", "search", "embeddings", "rerank", "playground"]
"""What inference was for."""

OTHERS = "(others)"
"""The tenant under which usage is counted that has no room of its own."""

NO_NAMES = frozenset({"", OTHERS})
"""Names that no tenant has: the ledger counts the usage of several callers under them."""

_HOUR_S = 3600


class Key(NamedTuple):
    """Whose usage: in which hour (since 1970, UTC), of which model, by which tenant ("" without a name), for what."""

    hour: int
    model: str
    tenant: str
    operation: Operation


class Count(NamedTuple):
    """How much. `requests` are those that used the model at all.

    `whole_requests` are those among them that no other model counts: a request with several models stands with one of
    them, so that the sum over models has each request once.
    """

    requests: int
    objects: int
    tokens: int
    whole_requests: int

    def plus(self, other: Count) -> Count:
        """The sums of both."""
        return Count(*map(operator.add, self, other))


def hour_of(seconds: float) -> int:
    """The hour of a time in seconds since 1970."""
    return int(seconds // _HOUR_S)


class Counts:
    """Sums by key, of which there are about `room` at most: what comes beyond is counted for `OTHERS`."""

    def __init__(self, room: int = 20_000) -> None:
        self._room = room
        self._sums: dict[Key, Count] = {}

    def __len__(self) -> int:
        return len(self._sums)

    def __iter__(self) -> Iterator[tuple[Key, Count]]:
        return iter(self._sums.items())

    @property
    def tokens(self) -> int:
        """All tokens in it."""
        return sum(count.tokens for count in self._sums.values())

    def add(self, key: Key, count: Count) -> None:
        """Count something."""
        if key not in self._sums and len(self._sums) >= self._room:
            first = next(iter(self._sums), key)
            key = Key(first.hour, key.model, OTHERS, key.operation)
        had = self._sums.get(key)
        self._sums[key] = had.plus(count) if had else count

    def add_all(self, counts: Iterable[tuple[Key, Count]]) -> None:
        """Count all of these."""
        for key, count in counts:
            self.add(key, count)
