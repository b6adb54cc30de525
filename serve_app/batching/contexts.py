"""Work that a request's own task waits for, though it is done in no request's context."""

from __future__ import annotations

import contextvars
import sys
import types
from asyncio import Task
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")
A = TypeVar("A")


@types.coroutine
def in_no_context(work: Callable[[A], Awaitable[T]], about: A) -> Generator[Any, Any, T]:
    """What `await work(about)` gives. To the work, no variable of a context is set; a task of its own costs more.

    `work` is a coroutine function: what it does begins when it is waited for.
    """
    run = contextvars.Context().run
    steps: Any = work(about).__await__()
    step: Any = steps.__next__
    value: tuple[BaseException, ...] = ()
    while True:
        try:
            waits_for = run(step, *value)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  the work has to hear of it, whatever it is
            step, value = steps.throw, (error,)
        else:
            step, value = steps.__next__, ()


def is_cancelled(task: Task[Any]) -> bool:
    """Whether a task was cancelled, rather than what it waits for; before Python 3.11 nobody knows, and it counts."""
    return task.cancelling() > 0 if sys.version_info >= (3, 11) else True
