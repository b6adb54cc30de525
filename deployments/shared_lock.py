"""A lock that many readers share and one writer has alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Readers wait while somebody has the lock alone, or waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0

    @property
    def is_free(self) -> bool:
        """Whether nobody reads."""
        return self._readers == 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Beside other readers."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """When all readers have left."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._readers == 0)
                yield
            finally:
                self._waiting -= 1
                self._changed.notify_all()
