"""The embedded store alone: how fast it takes points, searches and opens; no inference and no Ray.

python -m benchmarks.embedded           10,000 and 100,000 points
python -m benchmarks.embedded --long    1,000,000, too
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc as rpc
import httpx
import numpy as np
import psutil
from qdrant_client import grpc
from qdrant_client.grpc.points_service_pb2_grpc import PointsStub

from deployments.catalogue.catalogue import HOME

DIMENSIONS = 384
BATCH = 500
AT_ONCE = 4
SEARCHES = 300
_OPTIONS = [("grpc.max_send_message_length", -1)]


class Store:
    """A server process on a folder, which takes `opened_s` to open it."""

    def __init__(self, folder: Path, port: int) -> None:
        command = [sys.executable, "-m", "serve_app", "store", "--folder", str(folder)]
        command += ["--rest-port", str(port), "--grpc-port", str(port + 1)]
        began = time.monotonic()
        self.process = subprocess.Popen(command, cwd=HOME, stdout=subprocess.DEVNULL)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
        while True:
            try:
                self.http.get("/readyz")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        self.opened_s = time.monotonic() - began
        self.points = PointsStub(rpc.insecure_channel(f"127.0.0.1:{port + 1}", options=_OPTIONS))

    def result(self, method: str, path: str, body: Any = None) -> Any:
        """The result of a call that must not fail."""
        response = self.http.request(method, path, json=body)
        response.raise_for_status()
        return response.json()["result"]

    @property
    def megabytes(self) -> float:
        """Resident memory of the server."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def stop(self) -> None:
        """End the server as SIGTERM does."""
        self.process.terminate()
        self.process.wait()
        self.http.close()


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
        points = [
            {"id": first + n, "vector": [round(float(x), 6) for x in row], "payload": {"n": n}}
            for n, row in enumerate(vectors)
        ]
        yield json.dumps({"points": points}).encode()


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


def uploaded_per_s(send: Any, requests: Iterator[Any], count: int) -> float:
    """Points a second over requests that are prepared beforehand, `AT_ONCE` under way."""
    spent = 0.0
    while True:
        prepared = [request for request, _ in zip(requests, range(40), strict=False)]
        if not prepared:
            return count / spent
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(send, prepared))
        spent += time.monotonic() - began


def create(store: Store) -> None:
    """An empty collection."""
    store.result("DELETE", "/collections/c")
    store.result("PUT", "/collections/c", {"vectors": {"size": DIMENSIONS, "distance": "Cosine"}})


def search_ms(store: Store, condition: Any = None) -> tuple[float, float]:
    """The median of searches one after the other, and the 95th percentile."""
    queries = next(batches(BATCH))[1][:SEARCHES].tolist()
    taken = []
    for vector in queries:
        body: dict[str, Any] = {"query": vector, "limit": 10, "with_payload": True}
        if condition:
            body["filter"] = condition
        began = time.perf_counter()
        store.result("POST", "/collections/c/points/query", body)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken), sorted(taken)[int(0.95 * len(taken))]


def searches_per_s(store: Store) -> float:
    """Searches a second, eight under way."""
    queries = next(batches(BATCH))[1][:SEARCHES].tolist()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda v: store.result("POST", "/collections/c/points/query", {"query": v}), queries))
    return SEARCHES / (time.monotonic() - began)


def indexed(store: Store, limit_s: float = 3600) -> float:
    """Seconds until the indexes are built."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        info = store.result("GET", "/collections/c")
        if info["status"] == "green" and info["indexed_vectors_count"] >= 0.9 * info["points_count"]:
            break
        time.sleep(1)
    return time.monotonic() - began


def measure(count: int, port: int) -> None:
    """All figures for a store of so many points."""
    folder = Path(tempfile.mkdtemp(prefix="qi-store-"))
    try:
        store = Store(folder, port)
        if count == 10_000:
            create(store)
            print(f"gRPC upserts/s: {uploaded_per_s(store.points.Upsert, grpc_requests(count), count):,.0f}")
        create(store)
        put = f"http://127.0.0.1:{port}/collections/c/points?wait=true"
        rate = uploaded_per_s(lambda body: store.http.put(put, content=body), rest_bodies(count), count)
        print(f"{count:,} points: REST upserts/s {rate:,.0f}", flush=True)
        print("  before indexes: p50 {:.1f} ms, p95 {:.1f} ms".format(*search_ms(store)), flush=True)
        print(f"  indexes built after {indexed(store):.0f} s", flush=True)
        print("  search: p50 {:.1f} ms, p95 {:.1f} ms".format(*search_ms(store)), end="; ")
        print(f"eight at once: {searches_per_s(store):,.0f}/s", end="; ")
        condition = {"must": [{"key": "n", "range": {"lt": 250}}]}
        print("filtered: p50 {:.1f} ms, p95 {:.1f} ms".format(*search_ms(store, condition)))
        print(f"  memory {store.megabytes:,.0f} MB", end="; ", flush=True)
        store.stop()
        store = Store(folder, port)
        print(f"open in {store.opened_s:.1f} s, the interpreter's start included", flush=True)
        store.stop()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="1,000,000 points, too")
    parser.add_argument("--port", type=int, default=17440)
    parser.add_argument("--points", type=int, nargs="*")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for number in chosen.points or [10_000, 100_000, *([1_000_000] if chosen.long else [])]:
        measure(number, chosen.port)
