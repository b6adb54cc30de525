"""Long bodies are looked through in a thread, so that other requests wait for switches between threads only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONG = 256 * 1024
"""Bytes that take some milliseconds to look through, and tens of them if they are made for it."""


async def beside(size: int, work: Callable[[], T]) -> T:
    """What `work` makes of so many bytes."""
    return await asyncio.to_thread(work) if size >= LONG else work()
