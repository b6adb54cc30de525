"""What a service goes through as a whole: faults one after the other, an end in the middle, a start on a bad disk.

Each of these is a life of its own: a service that starts and ends. What it leaves behind is the last row of each.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Container
from pathlib import Path

from deployments.files.store import cache_folder
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.load import Load
from tests.chaos.report import Row
from tests.chaos.world import MINILM_DEPLOYMENT, World, embedded, left_over, remote
from tests.support.running import UP

Rows = AsyncIterator[Row]
Life = Callable[[Container[str]], Rows]

NODE = "kill -9 a node of two"
STORE = "kill -9 the embedded store"
TERM = "SIGTERM in the middle of a bulk upload"
READ_ONLY = "the model cache is read-only"
FULL = "the model cache has no room left"
_STEADY_S = 1.5
_BEFORE_TERM_S = 2.0
_BULK = 64
"""Points in an upsert of a bulk upload."""
_IN_A_NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")
"""Where a folder can be mounted that nobody else sees; needs no rights of an administrator on most machines."""


async def under_load(world: World, name: str, fault: Fault) -> Row:
    """Do a fault to a world under load, wait until it is good again, and look at what is stored."""
    load = await world.load()
    row = Row(name)
    async with load.running():
        try:
            await load.good_for(_STEADY_S)
            await fault(world)
            row.good_again_s = await load.recovers(time.monotonic())
        except (TimeoutError, RuntimeError) as error:
            row.broken.append(str(error))
    return _with_outcome(row, load, await world.check(load))


def _with_outcome(row: Row, load: Load, faults: list[str]) -> Row:
    row.requests, row.acknowledged, row.sent_again = len(load.sent), load.acknowledged_upserts, load.retried
    row.failed, row.longest_s = load.failures, load.longest_s
    row.broken += faults
    if load.failures["hung"]:
        row.broken.append("requests hung")
    if load.lost_searches:
        row.broken.append(f"{load.lost_searches} searches found another point")
    return row


async def one_after_the_other(chosen: Container[str]) -> Rows:
    """All faults that a running service survives, on one service with a Qdrant of its own."""
    faults = {name: fault for name, fault in FAULTS.items() if name in chosen}
    if not faults:
        return
    with tempfile.TemporaryDirectory() as cache:
        _copy_cache(Path(cache))
        async with remote({"QDRANT_INFERENCE_CACHE": cache}) as world:
            for name, fault in faults.items():
                yield await under_load(world, name, fault)
            yield await _end(world)


async def with_embedded_store(chosen: Container[str]) -> Rows:
    """The embedded store dies; then the service is stopped under load, and started again on the same data."""
    if STORE not in chosen and TERM not in chosen:
        return
    async with embedded() as world:
        if STORE in chosen:
            yield await under_load(world, STORE, _kill_store)
        if TERM in chosen:
            yield await _stopped_under_load(world)
            yield await _end(world)


async def _kill_store(world: World) -> None:
    world.replicas("Store")[0].kill()


async def _stopped_under_load(world: World) -> Row:
    load = await world.load(points=_BULK)
    async with load.running():
        await load.good_for(_BEFORE_TERM_S)
        status = await asyncio.to_thread(world.service.stop, signal.SIGTERM)
    broken = left_over(world.service) + ([f"exit status {status}"] if status else [])
    cut_off = {"cut off", "UNAVAILABLE"} & load.failures.keys()
    broken += ["requests under way were cut off"] if cut_off else []
    await asyncio.to_thread(world.service.start)
    return _with_outcome(Row(TERM, broken=broken), load, await world.check(load))


async def on_a_bad_cache(chosen: Container[str]) -> Rows:
    """A service starts on a cache folder in which it cannot write, and does its work."""
    for name, mount in ((READ_ONLY, _read_only), (FULL, _full)):
        if name in chosen:
            with tempfile.TemporaryDirectory() as cache:
                _copy_cache(Path(cache))
                command = (*_IN_A_NAMESPACE, f'{mount(Path(cache))} && exec "$@"', "sh", *UP)
                async with embedded({"QDRANT_INFERENCE_CACHE": cache}, command) as world:
                    yield await under_load(world, name, _nothing)


async def _nothing(_: World) -> None:
    """The fault was there at the start."""


def _read_only(cache: Path) -> str:
    return f"mount --bind '{cache}' '{cache}' && mount -o remount,bind,ro '{cache}'"


def _full(cache: Path) -> str:
    """A disk just as large as what lies in the folder."""
    pages = sum(-(-file.stat().st_size // 4096) + 1 for file in cache.rglob("*")) + 16
    return (
        f"mkdir '{cache}.all' && cp -r '{cache}/.' '{cache}.all' && mount -t tmpfs -o size={pages * 4}k none '{cache}'"
        f" && cp -r '{cache}.all/.' '{cache}' && rm -r '{cache}.all' && ! head -c 1M /dev/zero > '{cache}/filler'"
    )


def _copy_cache(folder: Path) -> None:
    """Copy the files of the models that are served here, without anything that was made of them."""
    for source in cache_folder().iterdir():
        if source.name == MINILM_DEPLOYMENT or source.name.startswith("starter--clip-shapes-vision"):
            shutil.copytree(source, folder / source.name)


async def with_two_nodes(chosen: Container[str]) -> Rows:
    """A node dies with all that runs on it; nodes are simulated on this machine."""
    if NODE not in chosen:
        return
    async with remote(command=(sys.executable, "-m", "tests.chaos.two_nodes")) as world:
        yield await under_load(world, NODE, _kill_node)
        yield await _end(world)


async def _kill_node(world: World) -> None:
    """Told by a signal, the process that started the nodes kills one."""
    os.kill(world.service.process.pid, signal.SIGUSR1)
    await asyncio.sleep(1)


async def _end(world: World) -> Row:
    """Stop the service, and see what is left of it."""
    status = await asyncio.to_thread(world.service.stop)
    broken = left_over(world.service) + ([f"exit status {status}"] if status else [])
    return Row("... and the end of that service", broken=broken)


LIVES: list[Life] = [one_after_the_other, with_embedded_store, on_a_bad_cache, with_two_nodes]
NAMES = [*FAULTS, STORE, TERM, READ_ONLY, FULL, NODE]
"""All faults."""
