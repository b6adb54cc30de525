"""The threads that run a model: searches before updates, and inputs of many batches together."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from deployments.autoscaling import Load
from deployments.contract import Embeddings, Vectors
from deployments.errors import InternalError, ModelUnavailable
from deployments.metrics.replica import CHECK, ReplicaMeasures
from deployments.networks.alone import alone
from deployments.replica import memory
from deployments.replica.queue import InputQueue, Waiting
from deployments.replica.work import Work

_TOKENS_A_SECOND = 2000.0
"""What a batch may expect: it is due when it would be done at this rate. So a small one passes large ones that came
shortly before it, and none waits for ever."""

_SHARE_STEP = 64
"""Tokens that are not worth dividing among several threads; shares are multiples of it."""

_CALM_S = 0.1
"""If there were chunks for two threads less than so long ago, a run takes one thread: another one will soon come."""

_SEARCHES_S = 1.0
"""If the last search came less than so long ago, the next one is on its way: see `Worker`."""

_BRIEF = 4
"""What part of the budget a chunk has that is soon over."""

_IDLE_S = 5.0
"""Without work for so long, the memory that the work has left behind goes back to the system."""


class _Chunk(NamedTuple):
    """What runs at once; none, if the worker is closed.

    `is_alone`: as it was taken, nothing else ran or waited. `is_long`: of an update, and not soon over.
    """

    inputs: Sequence[Waiting[Work]]
    is_alone: bool
    is_long: bool


_NOTHING = _Chunk([], is_alone=False, is_long=False)


class Worker:
    """Runs chunks, as many at a time as it has threads.

    A search waits for no more than one of the chunks that run at the moment, and for searches that are due before it.
    While searches come, not all threads run long chunks of updates at a time, so that one is soon there for the next.
    """

    def __init__(self, measures: ReplicaMeasures) -> None:
        """A worker without threads: `reconfigure` starts some."""
        self._measures = measures
        self.load = Load()
        self._queues: dict[tuple[int, str, str, str, str, str], InputQueue[Work]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._idle = 0
        self._long = 0
        self._crowded_at = -math.inf
        self._searched_at = -math.inf
        self._budget = 0
        self._threads: list[threading.Thread] = []

    def reconfigure(self, threads: int, budget: int) -> None:
        """Have at least so many threads, which end with the worker, and chunks of about `budget` tokens at most."""
        self._budget = budget
        while len(self._threads) < threads and not self._closed:
            thread = threading.Thread(target=self._serve, name="model", daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether all threads run."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    @property
    def waiting_tokens(self) -> int:
        """How many tokens wait for their run, those of health checks left out."""
        with self._changed:
            return sum(queue.tokens for kind, queue in self._queues.items() if kind[-1] != CHECK)

    async def run(self, work: Work) -> Embeddings:
        """Have a batch run when its turn comes. When the caller gives up, what has not started is dropped.

        Raises:
            ModelUnavailable: the worker is closed.
            InternalError: the model failed.
        """
        tokens = work.prepared.tokens.tolist()
        inputs = [
            Waiting(item, count, work, position)
            for position, (item, count) in enumerate(zip(work.prepared.items, tokens, strict=True))
        ]
        if not inputs:
            raise InternalError("a batch without inputs")
        with self._changed:
            if self._closed:
                raise ModelUnavailable("the model's replica is being stopped")
            queue = self._queues.setdefault(work.kind, InputQueue(work.prepared.layout))
            queue.add(inputs, time.monotonic() + sum(tokens) / _TOKENS_A_SECOND)
            self._changed.notify(len(inputs))
        try:
            await work.done
        finally:
            if work.missing:
                self._drop(work)
        return work.embeddings()

    def close(self) -> None:
        """End the threads after the chunks that run now; what waits fails."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """No name here keeps a chunk, and with it its batches, while nothing else comes."""
        while self._run(self._next()):
            pass

    def _run(self, taken: _Chunk) -> bool:
        """Run a chunk and hand out its vectors. False when there is none: the worker is closed."""
        try:
            return self._ran(taken)
        finally:
            if taken.is_long:
                with self._changed:
                    self._long -= 1

    def _ran(self, taken: _Chunk) -> bool:
        chunk = taken.inputs
        if not chunk:
            return False
        started = time.perf_counter()
        try:
            with alone() if taken.is_alone else nullcontext():
                vectors = _vectors(chunk)
            results = [one.owner.as_wanted(vectors[place]) for place, one in enumerate(chunk)]
        except BaseException as error:  # noqa: BLE001  it belongs to those who wait for this chunk, not to the thread
            for owner in {one.owner for one in chunk}:
                self._drop(owner)
                owner.finish(error)
            return True
        with self._changed:  # chunks of one batch may end at the same time
            self._measure(chunk, started)
            for one, result in zip(chunk, results, strict=True):
                one.owner.take(one.position, result)
        return True

    def _measure(self, chunk: Sequence[Waiting[Work]], started: float) -> None:
        seconds = time.perf_counter() - started
        tokens = [one.tokens for one in chunk]
        first = chunk[0].owner
        self._measures.ran(seconds, tokens, first.prepared.layout.computed(tokens), first.operation)
        begun = []
        for owner in {one.owner for one in chunk}:
            if owner.ready_at is not None:
                self._measures.waited(started - owner.ready_at, owner.operation)
                owner.ready_at = None
                begun.append(int(owner.prepared.tokens.sum()))
        if first.operation != CHECK:  # no load: a model that is only checked may go to zero
            self.load.worked(seconds, sum(tokens), begun)

    def _drop(self, work: Work) -> None:
        with self._changed:
            if queue := self._queues.get(work.kind):
                queue.discard(work)

    def _next(self) -> _Chunk:
        """The next chunk, when there is one; empty when the worker is closed."""
        chunk = self._take(_IDLE_S)
        if chunk is None:
            memory.release_free_memory()
            chunk = self._take(None)
        return chunk or _NOTHING

    def _take(self, timeout: float | None) -> _Chunk | None:
        """As `_next`; None when there is no chunk after `timeout` seconds.

        What waits is shared out among the threads that have nothing to do: two small chunks at a time are sooner done
        than a large one alone.
        """
        with self._changed:
            self._idle += 1
            has_news = self._changed.wait_for(self._has_news, timeout)
            idle, self._idle = self._idle, self._idle - 1
            if not has_news:
                return None
            if self._closed:
                self._abandon()
                return _NOTHING
            kind, queue = min(self._queues.items(), key=lambda entry: (entry[0][1] != "search", entry[1].due))
            budget = min(self._budget, _share(queue.tokens, idle)) if idle > 1 else self._budget
            if kind[1] == "search":
                if kind[-1] != CHECK:
                    self._searched_at = time.monotonic()
                return _Chunk(queue.take(budget), self._is_alone(idle), is_long=False)
            brief = self._budget // _BRIEF
            is_brief = self._expects_searches() and self._long >= len(self._threads) - 1 > 0
            inputs = queue.take(min(budget, brief), in_budget=True) if is_brief else queue.take(budget)
            is_long = sum(one.tokens for one in inputs) > brief
            self._long += is_long
            return _Chunk(inputs, self._is_alone(idle), is_long)

    def _expects_searches(self) -> bool:
        return time.monotonic() - self._searched_at < _SEARCHES_S

    def _is_alone(self, idle: int) -> bool:
        """Whether a chunk, which so many idle threads could have taken, has them all to itself, and likely to its end.

        Of callers who take turns, one often finds nothing running, and another one comes before its run is over.
        """
        now = time.monotonic()
        if idle < len(self._threads) or self._has_news():
            self._crowded_at = now
            return False
        return now - self._crowded_at > _CALM_S

    def _has_news(self) -> bool:
        self._queues = {kind: queue for kind, queue in self._queues.items() if len(queue)}
        return self._closed or bool(self._queues)

    def _abandon(self) -> None:
        error = ModelUnavailable("the model's replica is being stopped")
        for queue in self._queues.values():
            for owner in queue.owners():
                owner.finish(error)


def _share(tokens: int, threads: int) -> int:
    return -(-tokens // (threads * _SHARE_STEP)) * _SHARE_STEP


def _vectors(chunk: Sequence[Waiting[Work]]) -> Vectors:
    first = chunk[0].owner
    tokens = np.array([one.tokens for one in chunk], np.int64)
    prepared = replace(first.prepared, items=[one.item for one in chunk], tokens=tokens)
    vectors = first.family.run(prepared, np.arange(len(chunk)))
    if len(vectors) != len(chunk):
        raise InternalError(f"the model gave {len(vectors)} vectors for {len(chunk)} inputs")
    return vectors
