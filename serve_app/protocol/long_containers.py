"""Lists and objects of a long JSON body, which are given up step by step, in a thread of their own.

Python frees all that a container holds in one go when nobody needs it any more, and nothing else runs meanwhile: 20
milliseconds for a million texts.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any, Union

_STEP = 16
"""Items that are freed in one go: parts of one piece of JSON each, which takes some milliseconds at most."""


class LongList(list[Any]):
    """A list that may hold much."""

    __slots__ = ()

    def __del__(self) -> None:
        """Leave the items to the thread; what is called here when nobody needs the list is not called a second time."""
        if len(self) > _STEP:
            _given_up.put(self)


class LongObject(dict[str, Any]):
    """A dict that may hold much."""

    __slots__ = ()

    def __del__(self) -> None:
        """As of `LongList`."""
        if len(self) > _STEP:
            _given_up.put(self)


Container = Union[LongList, LongObject]
_given_up: SimpleQueue[Container] = SimpleQueue()
_start = threading.Lock()
_threads: list[threading.Thread] = []


def as_plain(container: Container) -> list[Any] | dict[str, Any]:
    """The same as Python's own, of one that turned out not to hold much; it is empty afterwards."""
    plain = list(container) if isinstance(container, LongList) else dict(container)
    container.clear()
    return plain


def free_beside() -> None:
    """Make sure that there is the thread which frees them."""
    with _start:
        if not (_threads and _threads[-1].is_alive()):  # a process that was forked has none
            _threads[:] = [threading.Thread(target=_free_all, name="free-long-bodies", daemon=True)]
            _threads[0].start()


def _free_all() -> None:
    while True:
        _free(_given_up.get())


def _free(container: Container) -> None:
    while container:
        if isinstance(container, list):
            del container[-_STEP:]
        else:
            for _ in range(min(_STEP, len(container))):
                container.popitem()
