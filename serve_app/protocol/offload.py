"""Long bodies are looked through in a thread, so that other requests wait for switches between threads only."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")

LONG = 128 * 1024
"""Bytes that take a millisecond to look through, and some of them if they are made for it."""

_TURN_S = 0.0005

_COLLECTIONS = 1000
"""Of young objects, each after some 7,000 more than were freed, until all are visited."""

_YOUNG = 10_000
"""Objects more than were freed, after which the youngest are visited: what an upsert of 1,000 texts holds, about."""

_OLDER, _ALL = 2, 250
"""Collections of the youngest until older ones are visited, and of those until all are: as seldom as above."""

_THREADS = ThreadPoolExecutor(4, thread_name_prefix="long-body")
"""Few, since each that is busy takes turns from all other requests; more than one, so that short work passes long."""


async def beside(size: int, work: Callable[[], T]) -> T:
    """What `work` makes of so many bytes."""
    if size < LONG:
        return work()
    here = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(here.run, work))


def take_short_turns() -> None:
    """Let threads of this process that compete for the interpreter change more often, and the collector stop them less.

    A request takes the interpreter's lock some ten times on its way, and would wait for a busy thread each time as long
    as Python's default gives that: 5 ms. Threads that do not compete notice nothing.

    The collector of garbage visits all objects when a quarter more have become old, which a single long body can bring
    about several times; now it has to have found many more before. What is young is collected as ever.
    """
    sys.setswitchinterval(_TURN_S)
    young, older, _ = gc.get_threshold()
    gc.set_threshold(young, older, _COLLECTIONS)


def collect_in_lots() -> None:
    """Let the collector of garbage begin only once there is more than requests hold that are under way.

    They leave no garbage that it has to find; with Python's default it looked at all texts of an upsert twice, in vain.
    A collection of the youngest takes half a millisecond now, one of the older two milliseconds.
    """
    gc.set_threshold(_YOUNG, _OLDER, _ALL)
