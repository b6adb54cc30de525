"""Timers for waits that hardly ever last until their end: one of the event loop's serves all, a little late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_STEP_S = 0.02
"""How late a timer may be."""


class Timer:
    """Something that is due; see `Timers.at`."""

    __slots__ = ("_all", "due", "when_due")

    def __init__(self, due: float, when_due: Callable[[], object], timers: set[Timer]) -> None:
        self.due = due
        self.when_due = when_due
        self._all = timers

    def cancel(self) -> None:
        """Have nothing happen."""
        self._all.discard(self)


class Timers:
    """Timers of one event loop. To set one and to cancel it takes a tenth of what it takes with one of the loop's."""

    def __init__(self) -> None:
        self._timers: set[Timer] = set()
        self._turning: asyncio.TimerHandle | None = None

    def at(self, due: float, when_due: Callable[[], object]) -> Timer:
        """Call `when_due` when it is `due` (`time.monotonic()`), or soon after."""
        timer = Timer(due, when_due, self._timers)
        self._timers.add(timer)
        if self._turning is None:
            self._turn_later()
        return timer

    def _turn_later(self) -> None:
        self._turning = asyncio.get_running_loop().call_later(_STEP_S, self._turn)

    def _turn(self) -> None:
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer.due <= now]:
            timer.cancel()
            timer.when_due()
        self._turning = None
        if self._timers:
            self._turn_later()
