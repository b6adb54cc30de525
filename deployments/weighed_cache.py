"""A cache of things that callers choose: bounded by what they weigh, not by how many there are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class WeighedCache(Generic[K, V]):
    """Keeps what was used last, which is never None. Any thread may ask."""

    def __init__(self, room: int) -> None:
        """`room` is what all together may weigh, in bytes; what weighs more than a fourth of it is not kept."""
        self._room = room
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K, make: Callable[[], V], weight: int) -> V:
        """What was made for this key, or is made now; `weight` is about how many bytes it takes."""
        value = self.find(key)
        if value is None:
            value = make()
            self.keep(key, value, weight)
        return value

    def find(self, key: K) -> V | None:
        """What is kept by this key."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: K, value: V, weight: int) -> None:
        """Keep something, and let go what was not used for longest; `weight` as above."""
        if weight <= self._room // 4:
            with self._lock:
                self._keep(key, value, weight)

    def _keep(self, key: K, value: V, weight: int) -> None:
        if key in self._kept:
            return
        self._kept[key] = value, weight
        self.weight += weight
        while self.weight > self._room:
            _, (_, freed) = self._kept.popitem(last=False)
            self.weight -= freed
