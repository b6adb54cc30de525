"""One thread that runs a model's chunks: those of searches before those of updates."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, PriorityQueue

from deployments import memory
from deployments.contract import Direction, Vectors
from deployments.errors import ModelUnavailable

_URGENCY: dict[Direction, int] = {"search": 0, "update": 1}
_STOP = -1

_IDLE = 5.0
"""Seconds without work after which the memory that the work has left behind goes back to the system."""

Call = Callable[[], Vectors]


@dataclass(order=True)
class _Job:
    """A call that waits; jobs compare by urgency, then by age."""

    urgency: int
    number: int
    call: Call | None = field(default=None, compare=False)
    future: Future[Vectors] = field(default_factory=Future, compare=False)


class Worker:
    """Runs calls one at a time in a thread of its own.

    A search waits for at most the call that runs at the moment. A future that is cancelled before its call has started
    takes the call with it.
    """

    def __init__(self) -> None:
        self._jobs: PriorityQueue[_Job] = PriorityQueue()
        self._numbers = itertools.count()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=_work, args=(self._jobs,), name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, call: Call, direction: Direction) -> Future[Vectors]:
        """Have a call run when its turn comes.

        Raises:
            ModelUnavailable: the worker is closed.
        """
        job = _Job(_URGENCY[direction], next(self._numbers), call)
        with self._closing:
            if self._closed:
                raise ModelUnavailable("the model's replica is being stopped")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """End the thread after the call that runs now, and cancel all that wait."""
        with self._closing:
            self._closed = True
            self._jobs.put(_Job(_STOP, next(self._numbers)))
        self._thread.join()
        for job in _left_over(self._jobs):
            job.future.cancel()


def _work(jobs: PriorityQueue[_Job]) -> None:
    """Has no reference to the worker, so that a forgotten worker can be collected; keeps none to a job that is done."""
    while _run(_next(jobs)):
        pass


def _next(jobs: PriorityQueue[_Job]) -> _Job:
    try:
        return jobs.get(timeout=_IDLE)
    except Empty:
        memory.give_back()
        return jobs.get()


def _run(job: _Job) -> bool:
    """Whether to go on after this job."""
    if job.call is None:
        return False
    if job.future.set_running_or_notify_cancel():
        _finish(job.future, job.call)
    return True


def _finish(future: Future[Vectors], call: Call) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # it belongs to the one who waits for this call, not to the thread
        future.set_exception(error)


def _left_over(jobs: PriorityQueue[_Job]) -> list[_Job]:
    left = []
    while True:
        try:
            left.append(jobs.get_nowait())
        except Empty:
            return left
