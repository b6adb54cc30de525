"""What was used, added up in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Operation = Literal["update", "search", "embeddings", "rerank", "playground"]
"""What inference was for."""

OTHERS = "(others)"
"""The tenant under which usage is counted that has no room of its own."""

NO_NAMES = frozenset({"", OTHERS})
"""Names that no tenant has: the ledger counts the usage of several callers under them."""

HOUR_S = 3600


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


def hour_of(seconds: float) -> int:
    """The hour of a time in seconds since 1970."""
    return int(seconds // HOUR_S)


class Counts:
    """Sums by key, of which there are about `room` at most: what comes beyond is counted for `OTHERS`."""

    def __init__(self, room: int = 20_000) -> None:
        self._room = room
        self._sums: dict[tuple[int, str, str, Operation], list[int]] = {}

    def __len__(self) -> int:
        return len(self._sums)

    def __iter__(self) -> Iterator[tuple[Key, Count]]:
        return ((Key(*key), Count(*sums)) for key, sums in self._sums.items())

    @property
    def tokens(self) -> int:
        """All tokens in it."""
        return sum(tokens for _, _, tokens, _ in self._sums.values())

    def add(self, key: tuple[int, str, str, Operation], count: tuple[int, int, int, int]) -> None:
        """Count something: a `Key` and a `Count`, or their values."""
        if key not in self._sums:
            key = self._with_room(*key)
        requests, objects, tokens, whole_requests = count
        sums = self._sums[key]
        sums[0] += requests
        sums[1] += objects
        sums[2] += tokens
        sums[3] += whole_requests

    def _with_room(self, hour: int, model: str, tenant: str, operation: Operation) -> tuple[int, str, str, Operation]:
        """The key under which something is counted that was not counted yet."""
        if len(self._sums) >= self._room:
            first_hour, *_ = next(iter(self._sums), (hour,))
            hour, tenant = first_hour, OTHERS
        key = hour, model, tenant, operation
        self._sums.setdefault(key, [0, 0, 0, 0])
        return key

    def add_all(self, counts: Iterable[tuple[Key, Count]]) -> None:
        """Count all of these."""
        for key, count in counts:
            self.add(key, count)
