"""How far a download is, seen by the bytes on disk: neither pip nor the hub's library tells it in a form to show."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Union

Report = Callable[[str, int, Union[int, None]], None]
"""Takes the phase ("downloading", "unpacking", ...), the bytes done, and the bytes in all if they are known."""

_POLL_SECONDS = 0.2


@contextmanager
def growth_reported(folder: Path, report: Report, total: Callable[[], int | None]) -> Iterator[None]:
    """While the body runs, report the size of what lies in a folder as bytes downloaded."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            in_all = total()
            # A file that is being moved counts twice for a moment.
            report("downloading", min(_size_of(folder), in_all or sys.maxsize), in_all)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _size_of(folder: Path) -> int:
    """The bytes in a folder, while others write and delete there."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += Path(parent, name).stat().st_size
            except FileNotFoundError:
                continue
    return size
