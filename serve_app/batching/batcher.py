"""Which inputs travel together, and when: requests go in, batches come out. No I/O, no clock, no event loop.

A full batch leaves at once, however many are under way: what waits in Serve's own queue is the load that autoscaling
sees. What does not fill a batch leaves while fewer than `max_partial_batches` are under way, once it is as large as the
smallest of them, and otherwise with the next one that comes back: many small calls would cost more than they carry.
There is no timer: an idle model never makes a request wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, Union

from deployments.contract import Vector
from serve_app.config.settings import Coalescing


class Waiting(Protocol):
    """A request as a queue sees it."""

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""


class Limits(Protocol):
    """The limits in force, which may change."""

    @property
    def coalescing(self) -> Coalescing:
        """When a batch is full, and how many partial ones may be under way."""


V = TypeVar("V")
R = TypeVar("R", bound=Waiting)


@dataclass(slots=True, eq=False)
class Item(Generic[V, R]):
    """One input of a request: its value, its length in characters (or rows of pixels), and its place there."""

    value: V
    size: int
    request: R
    position: int


@dataclass(slots=True, eq=False)
class ReadyBatch(Generic[V, R]):
    """Inputs that are sent in one call, oldest first."""

    items: Sequence[Item[V, R]]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for any of it."""
        return any(item.request.is_wanted for item in self.items)

    def by_request(self) -> list[list[Item[V, R]]]:
        """Its items, each request's apart."""
        parts: dict[int, list[Item[V, R]]] = {}
        for item in self.items:
            parts.setdefault(id(item.request), []).append(item)
        return list(parts.values())


@dataclass(slots=True, eq=False)
class OwnBatch:
    """So many inputs, all of one request, which sends them itself, and ends that when it waits no more."""

    count: int

    def __len__(self) -> int:
        return self.count


@dataclass
class BatchQueue(Generic[V, R]):
    """Inputs that may share a batch. Each method that changes something gives the batches that are to be sent now."""

    limits: Limits
    _waiting: deque[Item[V, R]] = field(default_factory=deque)
    _waiting_size: int = 0
    under_way: set[Union[ReadyBatch[V, R], OwnBatch]] = field(default_factory=set)

    @property
    def in_flight(self) -> int:
        """How many batches are under way."""
        return len(self.under_way)

    def own(self, values: Sequence[Sized]) -> OwnBatch | None:
        """A batch of a request's inputs, if to `add` them would send them at once, all together, and nothing else.

        None if not: then they are to be added.
        """
        if self._waiting or self.under_way or not values:
            return None
        rule, count = self.limits.coalescing, len(values)
        if count > 1 and (count > rule.inputs or sum(map(len, values)) > rule.characters):
            return None
        batch = OwnBatch(count)
        self.under_way.add(batch)
        return batch

    def add(self, items: Sequence[Item[V, R]]) -> list[ReadyBatch[V, R]]:
        """Queue a request's inputs."""
        self._waiting.extend(items)
        self._waiting_size += sum([item.size for item in items])
        return self.ready()

    def came_back(self, batch: ReadyBatch[V, R] | OwnBatch) -> list[ReadyBatch[V, R]]:
        """A batch is no longer under way: it was answered, failed, or was cancelled."""
        self.under_way.remove(batch)
        return self.ready() if self._waiting else []

    def ready(self) -> list[ReadyBatch[V, R]]:
        """What may leave by the settings in force; to be asked for when they have changed."""
        rule = self.limits.coalescing
        batches = []
        while self._waiting and (self._is_full(rule) or self._may_leave(rule)):
            if items := self._take(rule):
                batches.append(batch := ReadyBatch(items))
                self.under_way.add(batch)
        return batches

    def unwanted(self) -> list[ReadyBatch[V, R]]:
        """The batches under way that nobody waits for any more: the caller may end them, and says so by `came_back`."""
        return [batch for batch in self.under_way if isinstance(batch, ReadyBatch) and not batch.is_wanted]

    def _is_full(self, rule: Coalescing) -> bool:
        return len(self._waiting) >= rule.inputs or self._waiting_size >= rule.characters

    def _may_leave(self, rule: Coalescing) -> bool:
        """Whether what waits is worth a call of its own, though it fills no batch."""
        if not self.under_way:
            return True
        smallest = min(map(len, self.under_way))
        return len(self.under_way) < rule.max_partial_batches and len(self._waiting) >= smallest

    def _take(self, rule: Coalescing) -> list[Item[V, R]]:
        """The oldest items up to a full batch, without those that nobody waits for any more."""
        items: list[Item[V, R]] = []
        waiting, most, characters, size = self._waiting, rule.inputs, rule.characters, 0
        while waiting and len(items) < most:
            item = waiting[0]
            if items and size + item.size > characters:
                break
            waiting.popleft()
            self._waiting_size -= item.size
            if item.request.is_wanted:
                items.append(item)
                size += item.size
        return items


class PendingRequest:
    """The results that one request waits for: a vector and a count of tokens for each of its inputs."""

    def __init__(self, count: int, since: float, settled: Callable[[], object]) -> None:
        """`since` is when it began to wait; `settled` is called once, with the last result or the first failure."""
        self.since = since
        self.error: BaseException | None = None
        self.is_wanted = True
        self.count = count
        self._vectors: list[Vector | None] = [None] * count
        self._tokens = 0
        self._missing = count
        self._settled = settled

    @property
    def vectors(self) -> list[Vector]:
        """The vectors, in the order of the inputs, when all are there."""
        return [vector for vector in self._vectors if vector is not None]

    @property
    def tokens(self) -> int:
        """The tokens of all inputs together."""
        return self._tokens

    def take(self, position: int, vector: Vector, tokens: int) -> None:
        """Keep one result."""
        self.take_run(position, (vector,), tokens)

    def take_run(self, begin: int, vectors: Sequence[Vector], tokens: int) -> None:
        """Keep the results of inputs that follow each other, and the tokens of all of them."""
        self._vectors[begin : begin + len(vectors)] = vectors
        self._tokens += tokens
        self._missing -= len(vectors)
        if not self._missing:
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Give up: one error is enough for the whole request."""
        if self.is_wanted:
            self.error = error
            self._settle()

    def abandon(self) -> None:
        """Nobody waits for it any more."""
        self.is_wanted = False

    def _settle(self) -> None:
        if self.is_wanted:
            self.is_wanted = False
            self._settled()
