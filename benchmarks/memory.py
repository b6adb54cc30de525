"""How much memory does each process hold: at rest, under load, and after it?

Resident memory, of which processes share some: the sum over all of them counts that more than once. The load is a
bulk upload of docstrings with all three kinds of vectors into the embedded store, and searches at the same time. Before
it, a few upserts of 30 MB of raw vectors, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

import httpx
import numpy as np
import orjson
import psutil

from benchmarks import baseline, ingest, load, processes, tables, targets, texts
from tests.support.running import RunningService

_RAW_POINTS, _RAW_UPSERTS = 4000, 3
_DIMENSIONS = 384


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    seconds: float = parser.parse_args().seconds
    tables.show_machine()
    with processes.service({}) as running:
        rest = resident(running)
        _create(running)
        raw: list[object] = []
        load.run(_raw_upserts(running, raw))
        tables.show(
            "Upserts of raw vectors as JSON, MB more than before in the ingress",
            ("body, MB", *(f"upsert {n + 1}" for n in range(_RAW_UPSERTS))),
            [raw],
        )
        under: dict[str, float] = {}
        load.run(_load(running, seconds, under))
        time.sleep(10)
        after = resident(running)
    targets.at_most("MB that an upsert of 30 MB takes in the ingress", max(float(str(mb)) for mb in raw[1:]), 100)
    rows: list[Sequence[object]] = [(name, rest[name], under.get(name, 0.0), after.get(name, 0.0)) for name in rest]
    tables.show("Resident memory, MB", ("process", "at rest", "most under load", "10 s after"), rows)


def resident(running: RunningService) -> dict[str, float]:
    """Resident memory by kind of process, in MB."""
    found: dict[str, float] = {}
    for process in running.family():
        try:
            name, size = processes.kind(process.cmdline()), process.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
        found[name] = found.get(name, 0.0) + size
    return dict(sorted(found.items()))


async def _load(running: RunningService, seconds: float, most: dict[str, float]) -> None:
    """All of the load; keeps the most that each process held."""
    names = list(ingest.MODELS)
    corpus = texts.corpus(6400)
    upserts = [
        load.http_request("PUT", "/collections/c/points", ingest.upsert(corpus, start, names))
        for start in range(0, len(corpus), 64)
    ]
    query = {"query": {"text": "memory", "model": baseline.MINILM}, "using": "dense"}
    search = load.http_request("POST", "/collections/c/points/query", orjson.dumps(query))
    watching = asyncio.create_task(_watch(running, most))
    outcomes = await asyncio.gather(
        load.offer(load.http(running.rest_port, upserts), 4, seconds),
        load.offer(load.http(running.rest_port, [search]), 4, seconds),
    )
    watching.cancel()
    for outcome in outcomes:
        outcome.expect(200)


async def _raw_upserts(running: RunningService, row: list[object]) -> None:
    """Fill a row: the body's size, and for each upsert by how much the ingress grew at most."""
    vectors = np.random.default_rng(0).random((_RAW_POINTS, _DIMENSIONS))
    points = [{"id": 10**6 + n, "vector": {"dense": vector}} for n, vector in enumerate(vectors)]
    body = orjson.dumps({"points": points}, option=orjson.OPT_SERIALIZE_NUMPY)
    row.append(len(body) / 1e6)
    request = load.http_request("PUT", "/collections/c/points", body)
    for _ in range(_RAW_UPSERTS):
        before = resident(running)["Ingress"]
        most: dict[str, float] = {}
        watching = asyncio.create_task(_watch(running, most, 0.02))
        outcome = await load.offer(load.http(running.rest_port, [request]), 1, 60, limit=1)
        watching.cancel()
        outcome.expect(200)
        row.append(most["Ingress"] - before)


def _create(running: RunningService) -> None:
    httpx.put(f"{running.rest_address}/collections/c", json=ingest.COLLECTION, timeout=30).raise_for_status()


async def _watch(running: RunningService, most: dict[str, float], pause_s: float = 0.5) -> None:
    while True:
        for name, size in (await asyncio.to_thread(resident, running)).items():
            most[name] = max(size, most.get(name, 0.0))
        await asyncio.sleep(pause_s)


if __name__ == "__main__":
    main()
