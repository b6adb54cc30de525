"""The numbers of a collection's updates, which never come twice, whatever ends the process."""

from __future__ import annotations

import threading
from collections.abc import Callable

BLOCK = 1000
"""So many numbers are reserved at once: what a crash leaves of them is left out."""


class OperationIds:
    """Ascending numbers from `first` on."""

    def __init__(self, first: int, reserve: Callable[[int], None]) -> None:
        """`reserve` makes it known that all numbers below one may be in use."""
        self._next = self._reserved = first
        self._reserve = reserve
        self._lock = threading.Lock()

    def take(self) -> int:
        """The next one."""
        with self._lock:
            if self._next == self._reserved:
                self._reserve(self._reserved + BLOCK)
                self._reserved += BLOCK
            self._next += 1
            return self._next - 1

    @property
    def following(self) -> int:
        """What a collection that is opened again may begin with."""
        return self._reserved

    def close(self) -> None:
        """Give back what is left of the numbers that are reserved."""
        with self._lock:
            if self._next != self._reserved:
                self._reserve(self._next)
                self._reserved = self._next
