"""The batcher at work: inputs of many requests travel to a model's deployment in one call.

Each model has a queue for every direction and set of options; a search never stands behind an upload.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import orjson

from deployments.contract import Batch, Direction, Embeddings, Pixels, Vector
from deployments.errors import InternalError, ModelUnavailable
from deployments.metrics.instruments import STAGE_SECONDS
from serve_app.batching.batcher import BatchQueue, Item, PendingRequest, ReadyBatch
from serve_app.config.settings import LiveSettings
from serve_app.observability.metrics import TRUNCATED

Input = str | Pixels
Call = Callable[[Batch], Awaitable[Embeddings]]
"""One call of a model's deployment."""

Key = tuple[str, Direction, bytes]
"""Whose inputs may share a batch: those for the same model, in one direction, with equal options."""

_Ready = ReadyBatch[Input, PendingRequest]


class _Sender:
    """Sends the batches of one queue, each in a task of its own."""

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
        self._options = options
        self._when_idle = when_idle
        self._queue = BatchQueue[Input, PendingRequest](settings)
        self._tasks: dict[_Ready, asyncio.Task[None]] = {}

    @property
    def in_flight(self) -> int:
        return self._queue.in_flight

    def add(self, values: Sequence[Input], request: PendingRequest) -> None:
        """Queue a request's inputs."""
        self._send(self._queue.add([Item(value, len(value), request, at) for at, value in enumerate(values)]))

    def send_ready(self) -> None:
        """Send what may leave by settings that have changed."""
        self._send(self._queue.ready())

    def cancel_unwanted(self) -> None:
        """Cancel the calls that nobody waits for any more."""
        for batch in self._queue.unwanted():
            self._tasks[batch].cancel()

    def _send(self, batches: Iterable[_Ready]) -> None:
        for batch in batches:
            # In no request's context: if its caller hangs up, Serve cancels all calls that were made in it, and
            # this one may carry the inputs of others.
            task = contextvars.Context().run(asyncio.create_task, self._run(batch))
            self._tasks[batch] = task
            task.add_done_callback(partial(self._came_back, batch))

    def _came_back(self, batch: _Ready, _: asyncio.Task[None]) -> None:
        del self._tasks[batch]
        self._send(self._queue.came_back(batch))
        if not self._tasks:
            self._when_idle()

    async def _run(self, batch: _Ready) -> None:
        items = batch.items
        started = perf_counter()
        STAGE_SECONDS.observe(started - items[0].request.since, "wait", self._model, self._direction)
        try:
            embeddings = await self._embeddings([item.value for item in items])
        except asyncio.CancelledError:
            _fail(batch, ModelUnavailable("the call of the model was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001  whatever went wrong, every waiting request must hear of it
            _fail(batch, error)
            return
        STAGE_SECONDS.observe(perf_counter() - started, "call", self._model, self._direction)
        if embeddings.truncated:
            TRUNCATED.add(embeddings.truncated, self._model, self._direction)
        for position, (item, tokens) in enumerate(zip(items, embeddings.tokens.tolist(), strict=True)):
            item.request.take(item.position, embeddings.vectors[position], tokens)

    async def _embeddings(self, values: Sequence[Input]) -> Embeddings:
        batch = Batch(values, self._direction, self._options)  # type: ignore[arg-type]
        embeddings = await self._call(batch)
        if len(embeddings) != len(values) or len(embeddings.tokens) != len(values):
            raise InternalError(f"a batch of {len(values)} inputs came back with {len(embeddings)} vectors")
        return embeddings


def _fail(batch: _Ready, error: BaseException) -> None:
    for item in batch.items:
        item.request.fail(error)


class Router:
    """The queues of all models. New settings reach every queue at once, busy or not."""

    def __init__(self, calls: Mapping[str, Call], settings: LiveSettings) -> None:
        self._calls = calls
        self._settings = settings
        self._senders: dict[Key, _Sender] = {}
        settings.follow(self._send_ready)

    def in_flight(self) -> dict[str, int]:
        """How many batches of each model are under way."""
        counts = dict.fromkeys(self._calls, 0)
        for (model, *_), sender in self._senders.items():
            counts[model] += sender.in_flight
        return counts

    @property
    def queues(self) -> int:
        """How many queues there are; those that nobody uses are not kept."""
        return len(self._senders)

    async def embed(
        self,
        model: str,
        direction: Direction,
        options: Mapping[str, Any],
        values: Sequence[Input],
        read: Callable[[int], object] = lambda _: None,
    ) -> tuple[list[Vector], int]:
        """The vectors of `values` in their order, and how many tokens the model read for them.

        `read` is told the tokens that the model has read by the end, whatever that end is.

        Raises:
            InferenceError: what the model's deployment answered. A request that is cancelled leaves the queue, and
                batches that were under way for nobody else are cancelled.
        """
        sender = self._sender(model, direction, options)
        settled = asyncio.Event()
        request = PendingRequest(len(values), perf_counter(), settled.set)
        sender.add(values, request)
        try:
            await settled.wait()
        except asyncio.CancelledError:
            request.abandon()
            sender.cancel_unwanted()
            raise
        finally:
            read(request.tokens)
        if request.error:
            sender.cancel_unwanted()
            raise request.error
        return request.vectors, request.tokens

    def _sender(self, model: str, direction: Direction, options: Mapping[str, Any]) -> _Sender:
        key = model, direction, orjson.dumps(options, option=orjson.OPT_SORT_KEYS)
        sender = self._senders.get(key)
        if sender is None:
            forget = partial(self._senders.pop, key)
            sender = self._senders[key] = _Sender(key, self._calls[model], options, self._settings, forget)
        return sender

    def _send_ready(self) -> None:
        for sender in self._senders.values():
            sender.send_ready()
