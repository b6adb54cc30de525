"""What does the call of a model's deployment cost, by Ray Serve's ways and over the channel of this software's own?

One caller, one replica that answers at once, both replicas of Ray Serve's as in the service; in turns, in one run: a
handle's call (over gRPC, as `RAY_SERVE_THROUGHPUT_OPTIMIZED` has it), one by reference (through Ray's actors, Serve's
default), and a frame over a Unix socket. Processor time of both processes, for one call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import tables

os.environ.update(RAY_SERVE_THROUGHPUT_OPTIMIZED="1", RAY_USAGE_STATS_ENABLED="0")  # before Ray is imported

import numpy as np
import psutil
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments import channel
from deployments.contract import Batch, DenseVectors, Embeddings
from deployments.replica import channel_server
from serve_app.cluster.near import Machine

_PAUSE_S = 0.004
"""Between two calls of a caller that makes one at a time."""

_WAYS = ("handle, gRPC", "handle, by reference", "channel")


class Measured(NamedTuple):
    """Milliseconds: of a call, and of processor time for one at the caller and at the replica."""

    p50: float
    p95: float
    caller: float
    replica: float
    rate: float


class Callee:
    """Embeds at once."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        self._rows = np.random.default_rng(0).random((64, 384), np.float32)
        self._channel = await channel_server.serve(self.embed)

    async def embed(self, batch: Batch) -> Embeddings:
        """Vectors of no meaning."""
        return Embeddings(DenseVectors(self._rows[: len(batch)]), np.full(len(batch), 8, np.int64))

    async def process(self) -> int:
        """Its id."""
        return os.getpid()


class Caller:
    """Calls the other."""

    def __init__(self, callee: DeploymentHandle[Any]) -> None:
        cluster = ray.get_runtime_context().gcs_address
        self._process = callee.process
        self._near = Machine(channel.folder(), cluster, lambda: 1).near(callee.app_name, callee.deployment_name)
        self._ways: dict[str, Callable[[Batch], Awaitable[Embeddings]]] = {
            _WAYS[0]: callee.options(method_name="embed").remote,
            _WAYS[1]: callee.options(method_name="embed", _by_reference=True).remote,
            _WAYS[2]: self._over_the_channel,
        }

    async def _over_the_channel(self, batch: Batch) -> Embeddings:
        replica = self._near.best()
        while replica is None:
            await asyncio.sleep(0.01)
            replica = self._near.best()
        return await replica.embed(batch)

    async def measure(self, way: str, at_a_time: int, calls: int, inputs: int) -> Measured:
        """So many calls of so many inputs each."""
        send, batch = self._ways[way], Batch(["what somebody looks for"] * inputs, "search")
        processes = psutil.Process(), psutil.Process(await self._process.remote())

        async def work(times: int) -> list[float]:
            seconds = []
            for _ in range(times):
                began = time.perf_counter()
                await send(batch)
                seconds.append(time.perf_counter() - began)
                if at_a_time == 1:
                    await asyncio.sleep(_PAUSE_S)
            return seconds

        await work(20)
        before, began = _used(processes), time.perf_counter()
        parts = await asyncio.gather(*(work(calls // at_a_time) for _ in range(at_a_time)))
        passed, after = time.perf_counter() - began, _used(processes)
        seconds = sorted(second for part in parts for second in part)
        each = [(now - then) / len(seconds) * 1000 for then, now in zip(before, after, strict=True)]
        p50, p95 = (seconds[int(len(seconds) * part)] * 1000 for part in (0.5, 0.95))
        return Measured(p50, p95, each[0], each[1], len(seconds) / passed)


def _used(processes: Sequence[psutil.Process]) -> list[float]:
    return [sum(process.cpu_times()[:2]) for process in processes]


async def _turns(turns: int) -> list[Sequence[object]]:
    caller = serve.get_app_handle("model_call")
    rows: list[Sequence[object]] = []
    for at_a_time, calls, inputs in ((1, 300, 1), (4, 2000, 4), (16, 2000, 8)):
        found: dict[str, list[Measured]] = {way: [] for way in _WAYS}
        for _ in range(turns):
            for way, measured in found.items():
                measured.append(await caller.measure.remote(way, at_a_time, calls, inputs))
        for way, measured in found.items():
            best = [min(column) for column in zip(*measured, strict=True)][:4]
            rows.append((way, at_a_time, inputs, *best))
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="of which the best of each figure counts")
    turns: int = parser.parse_args().turns
    tables.show_machine()
    ray.init(address="local", logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    try:
        few: Any = {"max_ongoing_requests": 1000, "ray_actor_options": {"num_cpus": 0.1}}
        application = serve.deployment(**few)(Caller).bind(serve.deployment(**few)(Callee).bind())
        serve.run(application, name="model_call", route_prefix=None)
        rows = asyncio.run(_turns(turns))
    finally:
        ray.shutdown()
    head = ("way", "at a time", "inputs", "p50 ms", "p95 ms", "caller's processor ms", "replica's processor ms")
    tables.show("One call of a model's deployment", head, rows)


if __name__ == "__main__":
    main()
