"""Hours in small: mixed load with garbage among it, and a look at every process: `python -m tests.chaos.soak`.

After a warm-up no process may grow: neither its resident memory by more than a tenth, nor its open files. Nor may a
log tell of an exception that nobody handled. Prints a Markdown table; the exit status is 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.processes import kind
from benchmarks.texts import corpus
from tests.chaos.garbage import Garbage
from tests.chaos.load import Load
from tests.chaos.world import MINILM, VISION, World, left_over
from tests.support.running import RunningService

_MODELS = (MINILM, "qdrant/bm25", "starter/splade-tiny", "starter/clip-shapes-text")
_IDS = 400
"""Points, which are written again and again: the store's memory has to stay as it is, too."""
_WARM_UP, _WINDOW = 0.3, 0.15
"""Of the whole time: before the first look, and for how long each of the two looks is."""
_SAMPLE_S = 2.0
_PATIENCE_S = 90.0
"""The configuration gives models 60 s."""
_GROWTH, _FILES = 1.1, 8
_UNHANDLED = re.compile(rb"Traceback|never retrieved|Unhandled|a request failed with|a call failed with|SIGSEGV")


@dataclass
class Watched:
    """One process: megabytes of resident memory, and open files, in the order in which they were looked at."""

    what: str
    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def looks(self) -> tuple[float, float, float, float]:
        """Medians of memory and files, after the warm-up and at the end."""
        count = len(self.files)
        first = slice(int(count * _WARM_UP), int(count * (_WARM_UP + _WINDOW)) + 1)
        last = slice(int(count * (1 - _WINDOW)), None)
        medians = [statistics.median(of[when]) for of in (self.megabytes, self.files) for when in (first, last)]
        return medians[0], medians[1], medians[2], medians[3]

    def is_flat(self) -> bool:
        """Whether it has not grown since the warm-up."""
        memory, memory_end, files, files_end = self.looks()
        return memory_end <= memory * _GROWTH and files_end <= files + _FILES


@dataclass
class Outcome:
    """What a soak came to."""

    watched: Sequence[Watched]
    load: Load
    garbage: Garbage
    broken: list[str]

    def lines(self) -> Iterator[str]:
        """A table, and a sentence."""
        yield "| process | MB after warm-up | MB at the end | open files after warm-up | at the end | verdict |"
        yield "|---|---|---|---|---|---|"
        for one in sorted(self.watched, key=lambda one: one.what):
            memory, memory_end, files, files_end = one.looks()
            verdict = "flat" if one.is_flat() else "grows"
            yield f"| {one.what} | {memory:.0f} | {memory_end:.0f} | {files:.0f} | {files_end:.0f} | {verdict} |"
        yield ""
        yield f"{len(self.load.sent)} sound requests and {self.garbage.refused} pieces of garbage."
        yield "; ".join(self.broken) or "Nothing grew, nothing failed, and no log tells of an exception."


def run(seconds: float, seed: int) -> Outcome:
    """A service from start to stop, under load for so long."""
    with tempfile.TemporaryDirectory() as folder:
        service = RunningService(Path(folder)).start()
        try:
            outcome = asyncio.run(_soak(World(service), seconds, seed))
        finally:
            service.stop()
        told = [f"{count} lines in {name} tell of exceptions" for name, count in _unhandled(service).items()]
        outcome.broken += told + left_over(service)
    return outcome


async def _soak(world: World, seconds: float, seed: int) -> Outcome:
    await world.learn()
    load = await world.load(lambda: itertools.cycle(range(_IDS)))
    load.patience_s = _PATIENCE_S
    grpc_address = f"127.0.0.1:{world.service.grpc_port}"
    collection = next(iter(load.collections))
    garbage = Garbage(world.service.rest_port, grpc_address, collection, MINILM, VISION, random.Random(seed))
    broken: list[str] = []
    stop = asyncio.Event()
    async with load.running():
        others = asyncio.gather(garbage.keep_sending(stop, 0.1), _texts(world, stop, seed, broken))
        watched = await _watch(world.service, seconds)
        stop.set()
        await others
    lived = [one for one in watched if len(one.files) > len(watched[0].files) / 2]
    broken += [f"{one.what} grows" for one in lived if not one.is_flat()] + garbage.wrong
    broken += [f"{count} sound requests: {status}" for status, count in load.failures.items()]
    return Outcome(lived, load, garbage, broken)


async def _texts(world: World, stop: asyncio.Event, seed: int, wrong: list[str]) -> None:
    """Texts of any length to all text models, in batches of any size."""
    choose, texts = random.Random(seed), corpus(2000)
    async with httpx.AsyncClient(base_url=world.service.rest_address, timeout=60) as client:
        while not stop.is_set():
            model = choose.choice(_MODELS)
            inputs = [
                {"data": text, "data_type": "text", "model": model}
                for text in choose.sample(texts, choose.choice([1, 3, 40]))
            ]
            body = {"inputs": inputs, "inference": choose.choice(["search", "update"])}
            answer = await client.post("/inference", json=body)
            if answer.is_error:
                wrong.append(f"{model}: {answer.status_code}")
            await asyncio.sleep(0.3)


async def _watch(service: RunningService, seconds: float) -> Sequence[Watched]:
    watched: dict[int, Watched] = {}
    began = time.monotonic()
    family: list[psutil.Process] = []
    for look in itertools.count():
        if look % 10 == 0:
            family = service.family()
        for process in family:
            _look(process, watched)
        if time.monotonic() - began > seconds:
            return list(watched.values())
        await asyncio.sleep(_SAMPLE_S)
    raise AssertionError


def _look(process: psutil.Process, watched: dict[int, Watched]) -> None:
    try:
        what, memory, files = kind(process.cmdline()), process.memory_info().rss, process.num_fds()
        what = process.name() if what == "Ray" else what
    except psutil.NoSuchProcess:
        return
    one = watched.setdefault(process.pid, Watched(what))
    one.megabytes.append(memory / 1e6)
    one.files.append(files)


def _unhandled(service: RunningService) -> Mapping[str, int]:
    """Lines in logs that tell of what nobody handled, by file."""
    files = [service.output, *service.logs.rglob("*")]
    counts = {path.name: len(_UNHANDLED.findall(path.read_bytes())) for path in files if path.is_file()}
    return {name: count for name, count in counts.items() if count}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    outcome = run(asked.seconds, asked.seed)
    sys.stdout.write("\n".join([*outcome.lines(), f"{asked.seconds:.0f} s on {os.cpu_count()} cores.\n"]))
    return int(bool(outcome.broken))


if __name__ == "__main__":
    sys.exit(main())
