"""The batcher at work: inputs of many requests travel to a model's deployment in one call.

Each model has a queue for every direction and set of options; a search never stands behind an upload.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from deployments.contract import Batch, Direction, Embeddings, Pair, Pixels, Vector
from deployments.errors import InternalError, ModelUnavailable, TooLarge, WrongInput
from deployments.kinds import VectorKind
from deployments.metrics.instruments import STAGE_SECONDS
from serve_app.batching.batcher import BatchQueue, Item, Limits, OwnBatch, PendingRequest, ReadyBatch
from serve_app.batching.contexts import in_no_context, is_cancelled
from serve_app.config.settings import Coalescing, LiveSettings
from serve_app.observability.metrics import TRUNCATED
from serve_app.protocol.timers import Timers

Input = str | Pixels | Pair
Call = Callable[[Batch], Awaitable[Embeddings]]
"""One call of a model's deployment."""


_Form = tuple[tuple[VectorKind, ...], bool]
"""Which kinds of vectors are wanted of each input, and whether as JSON; the last two of a `Batch`."""

Key = tuple[str, Direction, bytes, bytes, _Form]
"""Whose inputs may share a batch: those for the same model, in one direction, with equal options, in one lane, which
want the same form of vectors. Images have a lane of their own."""


_OF_AN_INPUT = (WrongInput, TooLarge)
"""Errors that say that an input is wrong: of requests that share a batch, one or some are at fault."""


@dataclass(frozen=True)
class Lane:
    """A way of its own to a model, beside the one to its deployment: inputs of other lanes share no batch with its own.

    `key` tells lanes of a model apart; `coalescing` are limits of its own.
    """

    call: Call
    key: bytes
    coalescing: Coalescing


_Ready = ReadyBatch[Input, PendingRequest]
_Item = Item[Input, PendingRequest]
_Outcome = Embeddings | BaseException


class _Sender:
    """Sends the batches of one queue, each in a task of its own but for those that a request sends itself."""

    def __init__(
        self,
        key: Key,
        call: Call,
        options: Mapping[str, Any],
        limits: Limits,
        when_idle: Callable[[], object],
    ) -> None:
        self._model, self._direction, _, _, self._form = key
        self._call = call
        self._options = options
        self._when_idle = when_idle
        self._queue: BatchQueue[Input, PendingRequest] = BatchQueue(limits)
        self.own = self._queue.own
        """A batch for a request to `send` itself; None if its inputs have to be added."""
        self._tasks: dict[_Ready, asyncio.Task[None]] = {}

    @property
    def in_flight(self) -> int:
        return self._queue.in_flight

    async def send(
        self, own: OwnBatch, values: Sequence[Input], until: float, timers: Timers
    ) -> tuple[list[Vector], int]:
        """The vectors of a request's own batch, and the tokens that the model read for them; see `Router.embed`.

        The call ends with the request's task, which is cancelled when its time is over.
        """
        began = perf_counter()
        STAGE_SECONDS.observe(0.0, "wait", self._model, self._direction)
        batch = Batch(values, self._direction, self._options, *self._form)  # type: ignore[arg-type]
        time = timers.of_this_task(until)
        try:
            embeddings = await in_no_context(self._call, batch)
        except asyncio.CancelledError as error:
            if time.alone_cancelled():
                raise asyncio.TimeoutError from error
            raise error if is_cancelled(time.task) else _cancelled() from error
        finally:
            time.cancel()
            self._queue_on(own)
        vectors, tokens = list(embeddings.vectors), embeddings.tokens.tolist()
        self._check(len(vectors), len(tokens), len(values), embeddings.truncated)
        STAGE_SECONDS.observe(perf_counter() - began, "call", self._model, self._direction)
        return vectors, sum(tokens)

    def _queue_on(self, batch: _Ready | OwnBatch) -> None:
        """Send what may leave now that this one is no longer under way."""
        if batches := self._queue.came_back(batch):
            self._send(batches)
        elif not self._queue.under_way:
            self._when_idle()

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
            task = contextvars.Context().run(asyncio.get_running_loop().create_task, self._run(batch))
            self._tasks[batch] = task
            task.add_done_callback(partial(self._came_back, batch))

    def _came_back(self, batch: _Ready, _: object = None) -> None:
        """Send what may leave now: before the batch's requests go on, and at the latest when its task has ended."""
        if self._tasks.pop(batch, None) is not None:
            self._queue_on(batch)

    async def _run(self, batch: _Ready) -> None:
        started = perf_counter()
        STAGE_SECONDS.observe(started - batch.items[0].request.since, "wait", self._model, self._direction)
        try:
            outcomes = await self._outcomes(batch, started)
        except asyncio.CancelledError:
            _hand_out(batch.items, _cancelled())
            raise
        self._came_back(batch)
        for items, outcome in outcomes:
            _hand_out(items, outcome)

    async def _outcomes(self, batch: _Ready, started: float) -> Sequence[tuple[Sequence[_Item], _Outcome]]:
        """What becomes of the batch: of all its items, or of each request's."""
        try:
            embeddings = await self._embeddings(batch.items)
        except Exception as error:  # noqa: BLE001  whatever went wrong, every waiting request must hear of it
            parts = batch.by_request()
            if len(parts) == 1 or not isinstance(error, _OF_AN_INPUT):
                return [(batch.items, error)]
            # Again without the others: which request was at fault, only its own call can say.
            outcomes = await asyncio.gather(*map(self._embeddings, parts), return_exceptions=True)
            return list(zip(parts, outcomes, strict=True))
        STAGE_SECONDS.observe(perf_counter() - started, "call", self._model, self._direction)
        return [(batch.items, embeddings)]

    async def _embeddings(self, items: Sequence[_Item]) -> Embeddings:
        values = [item.value for item in items]
        batch = Batch(values, self._direction, self._options, *self._form)  # type: ignore[arg-type]
        embeddings = await self._call(batch)
        self._check(len(embeddings.vectors), len(embeddings.tokens), len(values), embeddings.truncated)
        return embeddings

    def _check(self, vectors: int, tokens: int, inputs: int, truncated: int) -> None:
        if not vectors == tokens == inputs:
            raise InternalError(f"a batch of {inputs} inputs came back with {vectors} vectors")
        if truncated:
            TRUNCATED.add(truncated, self._model, self._direction)


def _hand_out(items: Sequence[_Item], outcome: _Outcome) -> None:
    """Give each request its results, or say what went wrong."""
    if isinstance(outcome, BaseException):
        error = _cancelled() if isinstance(outcome, asyncio.CancelledError) else outcome
        for item in items:
            item.request.fail(error)
        return
    vectors, tokens, at = list(outcome.vectors), outcome.tokens.tolist(), 0
    while at < len(items):
        first = items[at]
        end = at + first.request.count - first.position  # the inputs of a request stand together, in their order
        first.request.take_run(first.position, vectors[at:end], sum(tokens[at:end]))
        at = end


def _cancelled() -> ModelUnavailable:
    return ModelUnavailable("the call of the model was cancelled")


class _Settled:
    """Whether a request has what it waits for; that takes no task, and no timer of the loop's own."""

    def __init__(self, until: float, timers: Timers) -> None:
        self._told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer = timers.at(until, self._late) if until < math.inf else None

    def tell(self) -> None:
        """Wake the one who waits."""
        if not self._told.done():
            self._told.set_result(None)

    async def wait(self) -> None:
        """Wait until it is told.

        Raises:
            asyncio.TimeoutError: it was not in time.
        """
        try:
            await self._told
        finally:
            if self._timer:
                self._timer.cancel()

    def _late(self) -> None:
        if not self._told.done():
            self._told.set_exception(asyncio.TimeoutError())


class Router:
    """The queues of all models. New settings reach every queue at once, busy or not."""

    def __init__(self, calls: Mapping[str, Call], settings: LiveSettings) -> None:
        self._calls = calls
        self._settings = settings
        self._senders: dict[Key, _Sender] = {}
        self._elsewhere: set[str] = set()
        self._timers = Timers()
        settings.follow(self._send_ready)

    def in_flight(self) -> dict[str, int]:
        """How many batches of each model are under way."""
        counts = dict.fromkeys([*self._calls, *self._elsewhere], 0)
        for (model, *_), sender in self._senders.items():
            counts[model] = counts.get(model, 0) + sender.in_flight  # of one that was taken away, too
        return counts

    @property
    def queues(self) -> int:
        """How many queues there are; those that nobody uses are not kept."""
        return len(self._senders)

    async def embed(  # noqa: PLR0913  which queue it is, and what goes into it
        self,
        model: str,
        direction: Direction,
        options: Mapping[str, Any],
        values: Sequence[Input],
        *,
        read: Callable[[int], object] = lambda _: None,
        kinds: tuple[VectorKind, ...] = (),
        as_json: bool = False,
        lane: Lane | None = None,
        until: float = math.inf,
    ) -> tuple[list[Vector], int]:
        """The vectors of `values` in their order, and how many tokens the model read for them.

        `read` is told the tokens that the model has read by the end, whatever that end is. They go to the model's
        deployment, or by `lane`. With `kinds`, each result is a tuple of vectors of these kinds; with `as_json`, it may
        be one that is written as JSON. `until` is for how long the caller waits (`time.monotonic()`).

        Raises:
            InferenceError: what the model's deployment answered. A request that is cancelled leaves the queue, and
                batches that were under way for nobody else are cancelled.
            asyncio.TimeoutError: the vectors did not come in time; it leaves the queue likewise.
        """
        sender = self._sender(model, direction, options, values, lane, (kinds, as_json))
        own = sender.own(values)
        if own is not None:
            vectors, tokens = await sender.send(own, values, until, self._timers)
            read(tokens)
            return vectors, tokens
        settled = _Settled(until, self._timers)
        request = PendingRequest(len(values), perf_counter(), settled.tell)
        sender.add(values, request)
        try:
            await settled.wait()
        except (asyncio.CancelledError, asyncio.TimeoutError):
            request.abandon()
            sender.cancel_unwanted()
            raise
        finally:
            read(request.tokens)
        if request.error:
            sender.cancel_unwanted()
            raise request.error
        return request.vectors, request.tokens

    def _sender(  # noqa: PLR0913, PLR0917  whose inputs may share a batch
        self,
        model: str,
        direction: Direction,
        options: Mapping[str, Any],
        values: Sequence[Input],
        lane: Lane | None,
        form: _Form,
    ) -> _Sender:
        as_key = orjson.dumps(options, option=orjson.OPT_SORT_KEYS) if options else b""
        # Images and texts for one model travel apart.
        own_lane = b"image" if values and isinstance(values[0], np.ndarray) else b""
        key = model, direction, as_key, own_lane if lane is None else lane.key, form
        if key not in self._senders:
            self._senders[key] = self._opened(key, options, lane)
        return self._senders[key]

    def _opened(self, key: Key, options: Mapping[str, Any], lane: Lane | None) -> _Sender:
        forget = partial(self._senders.pop, key)
        model, *_ = key
        if lane is not None:
            self._elsewhere.add(model)
            return _Sender(key, lane.call, options, lane, forget)
        return _Sender(key, self._calls[model], options, self._settings, forget)

    def _send_ready(self) -> None:
        for sender in self._senders.values():
            sender.send_ready()
