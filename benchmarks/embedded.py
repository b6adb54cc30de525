"""How fast does the embedded store take points, search and open? Beside it a real server, if QDRANT_BINARY names one.

python -m benchmarks.embedded                       10,000 and 100,000 points, and upserts with inference
python -m benchmarks.embedded --points 1000000      other numbers of points
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc as rpc
import httpx
import numpy as np
import orjson
import psutil
from qdrant_client import grpc

from benchmarks import ingest, load, processes, tables, texts
from deployments.catalogue.catalogue import HOME
from tests.support import real_qdrant
from tests.support.running import free_ports

DIMENSIONS = 384
BATCH = 500
AT_ONCE = 4
PREPARED = 40
"""Requests that are made before their time is taken."""
SEARCHES = 300
INDEXED = 7_000
"""From so many points on indexes are built: from 10,000 kB of vectors on, as in Qdrant."""
COLLECTION = {"vectors": {"size": DIMENSIONS, "distance": "Cosine"}}
FILTER = {"must": [{"key": "n", "range": {"lt": 250}}]}
_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Embedded:
    """The embedded store as a server, on a folder."""

    name = "embedded store"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rest_port, self.grpc_port = free_ports(2)
        self._process: Any = None

    def start(self) -> None:
        """Start, or start again, and wait until it answers."""
        command = [sys.executable, "-m", "serve_app", "store", "--folder", str(self._folder)]
        command += ["--rest-port", str(self.rest_port), "--grpc-port", str(self.grpc_port)]
        self._process = subprocess.Popen(command, cwd=HOME, stdout=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{self.rest_port}/readyz")
                return
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self._process.pid)

    def stop(self) -> None:
        """End it as SIGTERM does."""
        self._process.terminate()
        self._process.wait()


class Real(real_qdrant.RealQdrant):
    """A real server."""

    name = "Qdrant"


Server = Embedded | Real


def batches(count: int) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    """Points around 500 centres, as texts lie around subjects."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((500, DIMENSIONS))
    for first in range(0, count, BATCH):
        near = centres[rng.integers(0, 500, BATCH)] + 0.7 * rng.standard_normal((BATCH, DIMENSIONS))
        yield first, near.astype(np.float32)


def rest_bodies(count: int) -> Iterator[bytes]:
    """Upserts in JSON."""
    for first, vectors in batches(count):
        points = [{"id": first + n, "vector": row, "payload": {"n": n}} for n, row in enumerate(vectors)]
        yield orjson.dumps({"points": points}, option=orjson.OPT_SERIALIZE_NUMPY)


def grpc_requests(count: int) -> Iterator[grpc.UpsertPoints]:
    """The same as messages."""
    for first, vectors in batches(count):
        points = [
            grpc.PointStruct(
                id=grpc.PointId(num=first + n),
                vectors=grpc.Vectors(vector=grpc.Vector(dense=grpc.DenseVector(data=row))),
                payload={"n": grpc.Value(integer_value=n)},
            )
            for n, row in enumerate(vectors)
        ]
        yield grpc.UpsertPoints(collection_name="c", wait=True, points=points)


def per_second(count: int, requests: Iterator[Any], send: Callable[[list[Any]], float]) -> float:
    """Points a second; `send` says how long so many requests took, which have been prepared before."""
    spent = 0.0
    while prepared := [request for request, _ in zip(requests, range(PREPARED), strict=False)]:
        spent += send(prepared)
    return count / spent


def send_rest(port: int) -> Callable[[list[bytes]], float]:
    """Upserts over REST."""

    def send(bodies: list[bytes]) -> float:
        requests = [load.http_request("PUT", "/collections/c/points?wait=true", body) for body in bodies]
        return float(_sent(load.http(port, requests), len(requests)).expect(200).elapsed)

    return send


def send_grpc(port: int) -> Callable[[list[grpc.UpsertPoints]], float]:
    """Upserts over gRPC."""

    def send(messages: list[grpc.UpsertPoints]) -> float:
        async def offered() -> Any:
            async with rpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:
                requests = [message.SerializeToString() for message in messages]
                connect = load.rpc(channel, "/qdrant.Points/Upsert", requests)
                return await load.offer(connect, AT_ONCE, 600, limit=len(requests))

        return float(load.run(offered()).expect("OK").elapsed)

    return send


def _sent(connect: Any, count: int, at_once: int = AT_ONCE) -> Any:
    return load.run(load.offer(connect, at_once, 600, limit=count))


def result(server: Server, method: str, path: str, body: Any = None) -> Any:
    """The result of a call that must not fail."""
    response = httpx.request(method, f"http://127.0.0.1:{server.rest_port}{path}", json=body, timeout=600)
    response.raise_for_status()
    return response.json()["result"]


def searches(server: Server, at_once: int, condition: Any = None) -> Any:
    """Searches with vectors that are near to points."""
    wanted = {"limit": 10, "with_payload": True, **({"filter": condition} if condition else {})}
    bodies = [orjson.dumps({"query": row.tolist(), **wanted}) for row in next(batches(BATCH))[1][:SEARCHES]]
    requests = [load.http_request("POST", "/collections/c/points/query", body) for body in bodies]
    return _sent(load.http(server.rest_port, requests), SEARCHES, at_once).expect(200)


def indexed_s(server: Server, limit_s: float = 7200) -> float:
    """Seconds until the indexes are built."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        info = result(server, "GET", "/collections/c")
        if info["status"] == "green" and info["indexed_vectors_count"] >= 0.9 * info["points_count"]:
            break
        time.sleep(1)
    return time.monotonic() - began


def opened_s(server: Server) -> float:
    """Seconds until it answers when it starts on what it has."""
    server.stop()
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def empty(server: Server) -> None:
    """A collection without points."""
    result(server, "DELETE", "/collections/c")
    result(server, "PUT", "/collections/c", COLLECTION)


def milliseconds(server: Server, condition: Any = None) -> str:
    """The median and the 95th percentile of searches one after the other."""
    found = searches(server, 1, condition)
    return f"{found.percentile(50):.1f} / {found.percentile(95):.1f}"


def measure(server: Server, count: int) -> Iterator[tuple[str, Any]]:
    """All figures of a server that runs, with so many points."""
    empty(server)
    yield "upserts a second, gRPC", per_second(count, grpc_requests(count), send_grpc(server.grpc_port))
    empty(server)
    yield "upserts a second, REST", per_second(count, rest_bodies(count), send_rest(server.rest_port))
    yield "search before indexes are built, p50 / p95 ms", milliseconds(server)
    yield "indexes built after, s", indexed_s(server) if count >= INDEXED else "none are built"
    yield "search, p50 / p95 ms", milliseconds(server)
    yield "search with a filter, p50 / p95 ms", milliseconds(server, FILTER)
    yield "searches a second, eight under way", searches(server, 8).rate
    yield "resident memory, MB", psutil.Process(server.pid).memory_info().rss / 1e6
    yield "open, the process's start included, s", statistics.median(opened_s(server) for _ in range(3))


def measured(kind: type[Server], count: int) -> dict[str, Any]:
    """All figures of a server of its own."""
    with tempfile.TemporaryDirectory(prefix="qi-store-") as folder:
        server = kind(Path(folder) / "store")
        server.start()
        try:
            return {name: _told(name, value) for name, value in measure(server, count)}
        finally:
            server.stop()


def _told(name: str, value: Any) -> Any:
    print(f"  {name}: {value}", file=sys.stderr, flush=True)
    return value


def with_inference(count: int) -> list[Sequence[Any]]:
    """Texts and raw vectors a second through the gateway, with the embedded store behind it."""
    corpus = texts.corpus(count)
    with processes.service({}) as running:
        rows: list[Sequence[Any]] = [("REST", "texts", ingest.ingest(running, corpus, ["dense"]))]
        httpx.put(f"{running.rest_address}/collections/c", json=COLLECTION).raise_for_status()
        rate = per_second(10_000, rest_bodies(10_000), send_rest(running.rest_port))
        rows.append(("REST", "raw vectors", rate))
        rate = per_second(10_000, grpc_requests(10_000), send_grpc(running.grpc_port))
        rows.append(("gRPC", "raw vectors", rate))
    return rows


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--texts", type=int, default=3200, help="0 leaves out what needs the whole service")
    asked = parser.parse_args()
    processes.exit_on_sigterm()
    tables.show_machine()
    kinds: list[type[Server]] = [Embedded, *([Real] if real_qdrant.BINARY else [])]
    for count in asked.points:
        found = [measured(kind, count) for kind in kinds]
        rows = [[name, *(one[name] for one in found)] for name in found[0]]
        tables.show(f"{count:,} points", ("figure", *(kind.name for kind in kinds)), rows)
    if asked.texts:
        tables.show(
            "Upserts a second through the gateway", ("protocol", "points", "a second"), with_inference(asked.texts)
        )


if __name__ == "__main__":
    main()
