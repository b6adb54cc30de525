"""Runs one tree's gateway and measures it. A line of its input is what to do, a line of its output what came of it.

`python worker.py TREE`; run as a file, so that `serve_app` and `deployments` are those of the tree.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import profiling  # type: ignore[import-not-found]  # noqa: E402
import stubs  # type: ignore[import-not-found]  # noqa: E402
from kinds import Kind, kinds, scope  # type: ignore[attr-defined]  # noqa: E402


def assembly(tree: Path) -> Any:
    """The module that puts the tree's gateway together: its own, or that of the old files."""
    sys.path.insert(0, str(tree))
    own = tree / "benchmarks/pipeline/gateway.py"
    spec: Any = importlib.util.spec_from_file_location("assembly", own if own.exists() else HERE / "e394067.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Worker:
    """One tree's gateway."""

    def __init__(self, tree: Path) -> None:
        module = assembly(tree)
        self._tree = tree
        models = stubs.models(module.CONTRACT)
        self._gateway = module.Gateway(tree, models, stubs.ANSWER, stubs.Channel())
        self._kinds = kinds()

    async def do(self, what: str, title: str, count: int) -> Any:
        """`time`: seconds a request; `calls` of functions, or `instructions`; `profile`: the shares of functions."""
        count = -(-count // self._kinds[title].at_a_time) * self._kinds[title].at_a_time
        kind = self._kinds[title]
        ask = self._http(kind) if kind.protocol == "REST" else self._grpc(kind)
        if what == "calls":
            with profiling.counted_calls() as calls:
                await _times(ask, count, kind.at_a_time)
                return calls() / count
        if what == "instructions":
            await _times(ask, 2, kind.at_a_time)
            profiling.start_counting()
            await _times(ask, count, kind.at_a_time)
            return profiling.counted() / count
        if what == "profile":
            with profiling.sampled(self._tree) as shares:
                await _times(ask, count, kind.at_a_time)
                return shares()
        gc.collect()
        began = time.process_time()
        await _times(ask, count, kind.at_a_time)
        return (time.process_time() - began) / count

    def _http(self, kind: Kind) -> Callable[[], Awaitable[None]]:
        template, body = scope(kind), {"type": "http.request", "body": kind.body, "more_body": False}

        async def receive() -> Any:
            return body

        async def send(message: Any) -> None:
            if message.get("status", 200) != 200:
                raise RuntimeError(message)

        async def ask() -> None:
            await self._gateway.http({**template}, receive, send)

        return ask

    def _grpc(self, kind: Kind) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            await self._gateway.grpc(kind.path, kind.body, stubs.Context())

        return ask


async def _times(ask: Callable[[], Awaitable[None]], count: int, at_a_time: int) -> None:
    if at_a_time == 1:
        for _ in range(count):
            await ask()
        return

    async def one_after_the_other() -> None:
        for _ in range(count // at_a_time):
            await ask()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_a_time)))


async def main(tree: Path) -> None:
    """Do what is asked until the input ends."""
    worker = Worker(tree)
    for line in sys.stdin:
        print(json.dumps(await worker.do(*json.loads(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]).resolve()))
