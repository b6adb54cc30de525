"""From requests to batches: inputs of many requests travel to a model's deployment in one call.

Each model has a lane for every direction and set of options; a search never stands behind an upload. In a lane,
a full batch leaves at once, however many are under way: what waits in Serve's own queue is the load that
autoscaling sees. What does not fill a batch leaves while fewer than `max_partial_batches` of the lane are under way,
once it is as large as the smallest of them, and otherwise with the next one that comes back: many small calls would
cost more than they carry. There is no timer: an idle model never makes a request wait.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import orjson

from deployments.contract import Batch, Direction, Embeddings, Pixels, Vector
from deployments.errors import InternalError, ModelUnavailable
from deployments.metrics.instruments import STAGE_SECONDS
from serve_app.config.settings import Coalescing, LiveSettings
from serve_app.observability.metrics import TRUNCATED

Input = str | Pixels
Call = Callable[[Batch], Awaitable[Embeddings]]
"""One call of a model's deployment."""

Key = tuple[str, Direction, bytes]
"""Whose inputs may share a batch: those for the same model, in one direction, with equal options."""


@dataclass(eq=False)
class Ticket:
    """The results that one request waits for: a vector and a count of tokens for each of its inputs."""

    vectors: list[Vector | None]
    tokens: list[int]
    truncated: int = 0
    missing: int = field(init=False)
    done: asyncio.Future[None] = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.vectors)
        self.done = asyncio.get_running_loop().create_future()

    def take(self, position: int, vector: Vector, tokens: int) -> None:
        """Keep one result; with the last one the ticket is done."""
        self.vectors[position] = vector
        self.tokens[position] = tokens
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Give up: one error is enough for the whole request."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True)
class _Item:
    value: Input
    size: int
    ticket: Ticket
    position: int
    since: float


class Lane:
    """One queue of inputs that may share a batch."""

    def __init__(
        self,
        key: Key,
        call: Call,
        options: Mapping[str, Any],
        settings: LiveSettings,
        when_idle: Callable[[], object],
    ) -> None:
        self._model, self._direction, _ = key
        self._call = call
        self._when_idle = when_idle
        self._options = options
        self._settings = settings
        self._waiting: deque[_Item] = deque()
        self._waiting_size = 0
        self._under_way: dict[asyncio.Task[None], list[_Item]] = {}

    @property
    def _limits(self) -> Coalescing:
        return self._settings.current.coalescing

    @property
    def in_flight(self) -> int:
        """How many batches are under way."""
        return len(self._under_way)

    def add(self, values: Sequence[Input]) -> Ticket:
        """Queue a request's inputs."""
        ticket = Ticket([None] * len(values), [0] * len(values))
        now = perf_counter()
        for position, value in enumerate(values):
            item = _Item(value, len(value), ticket, position, now)
            self._waiting.append(item)
            self._waiting_size += item.size
        self._send()
        return ticket

    def _send(self) -> None:
        while self._waiting and (self._is_full() or self._may_leave()):
            if batch := self._next_batch():
                # In no request's context: where its caller hangs up, Serve cancels all calls that were made in it, and
                # this one may carry the inputs of others.
                task = contextvars.Context().run(asyncio.create_task, self._run(batch))
                self._under_way[task] = batch
                task.add_done_callback(self._came_back)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._limits.inputs or self._waiting_size >= self._limits.characters

    def _may_leave(self) -> bool:
        """Whether what waits is worth a call of its own, though it fills no batch."""
        smallest = min(map(len, self._under_way.values()), default=0)
        return len(self._under_way) < self._limits.max_partial_batches and len(self._waiting) >= smallest

    def _next_batch(self) -> list[_Item]:
        """The oldest items up to a full batch, without those that nobody waits for any more."""
        batch: list[_Item] = []
        size = 0
        while self._waiting and len(batch) < self._limits.inputs:
            if batch and size + self._waiting[0].size > self._limits.characters:
                break
            item = self._waiting.popleft()
            self._waiting_size -= item.size
            if not item.ticket.done.done():
                batch.append(item)
                size += item.size
        return batch

    async def _run(self, items: list[_Item]) -> None:
        batch = Batch([item.value for item in items], self._direction, self._options)  # type: ignore[arg-type]
        started = perf_counter()
        STAGE_SECONDS.observe(started - items[0].since, "wait", self._model, self._direction)
        try:
            embeddings = _checked(await self._call(batch), len(items))
        except asyncio.CancelledError:
            _fail(items, ModelUnavailable("the call of the model was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001  whatever went wrong, every waiting request must hear of it
            _fail(items, error)
            return
        STAGE_SECONDS.observe(perf_counter() - started, "call", self._model, self._direction)
        if embeddings.truncated:
            TRUNCATED.add(embeddings.truncated, self._model, self._direction)
        for position, (item, tokens) in enumerate(zip(items, embeddings.tokens.tolist(), strict=True)):
            item.ticket.take(item.position, embeddings.vectors[position], tokens)

    def drop_unwanted(self) -> None:
        """Cancel the batches under way that nobody waits for any more."""
        for task, items in self._under_way.items():
            if all(item.ticket.done.done() for item in items):
                task.cancel()

    def _came_back(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._send()
        if not self._under_way:
            self._when_idle()


def _fail(items: Sequence[_Item], error: BaseException) -> None:
    for item in items:
        item.ticket.fail(error)


def _checked(embeddings: Embeddings, count: int) -> Embeddings:
    if len(embeddings) != count or len(embeddings.tokens) != count:
        raise InternalError(f"a batch of {count} inputs came back with {len(embeddings)} vectors")
    return embeddings


class Router:
    """All lanes of all models."""

    def __init__(self, calls: Mapping[str, Call], settings: LiveSettings) -> None:
        self._settings = settings
        self._calls = calls
        self.lanes: dict[Key, Lane] = {}

    def in_flight(self) -> dict[str, int]:
        """How many batches of each model are under way."""
        counts = dict.fromkeys(self._calls, 0)
        for (model, *_), lane in self.lanes.items():
            counts[model] += lane.in_flight
        return counts

    async def embed(
        self, model: str, direction: Direction, options: Mapping[str, Any], values: Sequence[Input]
    ) -> tuple[list[Vector], int]:
        """The vectors of `values` in their order, and how many tokens the model read for them.

        Raises:
            InferenceError: what the model's deployment answered. A request that is cancelled leaves the queue, and
                batches that were under way for nobody else are cancelled.
        """
        key = model, direction, orjson.dumps(options, option=orjson.OPT_SORT_KEYS)
        lane = self.lanes.get(key)
        if lane is None:
            forget = partial(self.lanes.pop, key)
            lane = self.lanes[key] = Lane(key, self._calls[model], options, self._settings, forget)
        ticket = lane.add(values)
        try:
            await ticket.done
        except BaseException:
            lane.drop_unwanted()
            raise
        return [vector for vector in ticket.vectors if vector is not None], sum(ticket.tokens)
