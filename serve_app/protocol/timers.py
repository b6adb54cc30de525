"""Timers for waits that hardly ever last until their end: one of the event loop's serves all, a little late."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import override

_STEP_S = 0.02
"""How late a timer may be."""


class Timer:
    """Something that is due; see `Timers.at`."""

    __slots__ = ("_all", "due", "when_due")

    def __init__(self, due: float, when_due: Callable[[], object], timers: set[Timer]) -> None:
        self.due = due
        self.when_due = when_due
        self._all = timers

    def ring(self) -> None:
        """Have happen what is due."""
        self.when_due()

    def cancel(self) -> None:
        """Have nothing happen."""
        self._all.discard(self)


class TaskTimer(Timer):
    """The time of a task; `is_over` says whether it has cancelled the task."""

    __slots__ = ("is_over", "task")

    def __init__(self, due: float, task: Any, timers: set[Timer]) -> None:
        self.due = due
        self.task: asyncio.Task[Any] = task
        self.is_over = False
        self._all = timers

    @override
    def ring(self) -> None:
        self.is_over = True
        self.task.cancel()

    def alone_cancelled(self) -> bool:
        """Whether the task was cancelled for this reason alone, which is taken back then; asked once, by who caught it.

        Before Python 3.11 nobody knows whether there is another one, and it counts as none.
        """
        return self.is_over and not (sys.version_info >= (3, 11) and self.task.uncancel() > 0)


class Timers:
    """Timers of one event loop. To set one and to cancel it takes a tenth of what it takes with one of the loop's."""

    def __init__(self) -> None:
        self._timers: set[Timer] = set()
        self._turning: asyncio.TimerHandle | None = None

    def at(self, due: float, when_due: Callable[[], object]) -> Timer:
        """Call `when_due` when it is `due` (`time.monotonic()`), or soon after."""
        timer = Timer(due, when_due, self._timers)
        self._set(timer)
        return timer

    def of_this_task(self, due: float) -> TaskTimer:
        """Cancel the task that runs here when it is `due`, or soon after."""
        timer = TaskTimer(due, asyncio.current_task(), self._timers)
        if due < math.inf:
            self._set(timer)
        return timer

    def _set(self, timer: Timer) -> None:
        self._timers.add(timer)
        if self._turning is None:
            self._turn_later()

    def _turn_later(self) -> None:
        self._turning = asyncio.get_running_loop().call_later(_STEP_S, self._turn)

    def _turn(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer.due <= now]:
            timer.cancel()
            timer.ring()
        self._turning = None
        if self._timers:
            self._turn_later()
