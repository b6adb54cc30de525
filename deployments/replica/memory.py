"""Memory that this process has freed, and the system could use."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def release_free_memory() -> None:
    """Let the C library return free memory to the system; glibc keeps most of it. Takes some milliseconds."""
    with suppress(AttributeError):  # other C libraries have no such function, and less need of one
        ctypes.CDLL(None).malloc_trim(0)
