"""What does the way to the models carry, and how does it grow?

First one ingress replica with a model that answers at once: requests a second and processor time for one, over REST and
gRPC, for bodies of different sizes, without and with inference objects. Then several ingress and model replicas, with
a model that sleeps 50 ms for a batch of up to 64 texts instead of computing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc.aio
import numpy as np
import orjson
from qdrant_client import grpc as q

from benchmarks import baseline, load, processes, tables, targets, texts
from benchmarks.other_application import COMMAND
from tests.support.running import RunningService

_DIMENSIONS = 384
_SLEEP_S = 0.05
_POINT = 3500  # bytes of a raw vector of so many dimensions in JSON
_HEAD = ("request", "protocol", "body", "a second", "p50 ms", "ingress ms", "HAProxy ms")


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each line of a table")
    parser.add_argument("--replicas", type=int, nargs="*", default=[1, 2, 4])
    asked = parser.parse_args()
    tables.show_machine()
    with processes.stub_store() as environment:
        with processes.service(environment | _replicas(0.0, 1, 1), _instant, COMMAND) as running:
            measured = one_replica(running, asked.seconds)
            tables.show("One ingress replica, a model that answers at once", _HEAD, measured)
            _note_targets({(row[0], row[1]): float(str(row[5])) for row in measured})
        rows = []
        for ingress, model in {(n, 1) for n in asked.replicas} | {(2, n) for n in asked.replicas}:
            with processes.service(environment | _replicas(_SLEEP_S, ingress, model), _instant, COMMAND) as running:
                outcome = load.run(load.offer(load.http(running.rest_port, _searches()), 256, asked.seconds * 2))
                rows.append((ingress, model, outcome.expect(200).rate, outcome.percentile(50), outcome.percentile(99)))
        head = ("ingress replicas", "model replicas", "searches a second", "p50 ms", "p99 ms")
        tables.show("Several replicas, a model that sleeps 50 ms for a batch", head, sorted(rows))


def _note_targets(ingress_ms: Mapping[tuple[object, object], float]) -> None:
    targets.at_most("ms of the ingress for a request passed through", ingress_ms["raw query", "REST"], 0.5)
    beyond = ingress_ms["upsert of 1000 texts", "REST"] - _encoding_ms(1000)
    targets.at_most("ms of the ingress for an upsert of 1,000 texts, beyond encoding the vectors", beyond, 40)


def _encoding_ms(count: int) -> float:
    """What it takes to write so many vectors as JSON."""
    rows = list(np.random.default_rng(0).random((count, _DIMENSIONS), np.float32))
    began = time.process_time()
    for _ in range(10):
        orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
    return (time.process_time() - began) * 100


def _replicas(seconds: float, ingress: int, model: int) -> dict[str, str]:
    return {"STUB_MODEL": json.dumps({"seconds": seconds, "ingress": ingress, "model": model})}


def _instant(application: Any) -> None:
    application["import_path"] = "benchmarks.stub_model:build"
    application["deployments"] = []


def one_replica(running: RunningService, seconds: float) -> list[Sequence[object]]:
    """A line for each kind of request."""
    rows: list[Sequence[object]] = []
    kinds = {
        "raw query": ("POST", "/collections/c/points/query", orjson.dumps({"query": [0.5] * _DIMENSIONS})),
        "text query": ("POST", "/collections/c/points/query", _text_query("how to bake bread")),
        **{f"upsert of {n} texts": ("PUT", "/collections/c/points", _text_upsert(n)) for n in (10, 100, 1000)},
        **{f"raw upsert of {n}": ("PUT", "/collections/c/points", _raw_upsert(n)) for n in (3, 30, 300, 2900)},
    }
    for name, (method, path, body) in kinds.items():
        connect = load.http(running.rest_port, [load.http_request(method, path, body)])
        concurrency = 16 if len(body) < 100_000 else 2
        load.run(load.offer(connect, concurrency, seconds / 5)).expect(200)
        before = processes.spent(running)
        outcome = load.run(load.offer(connect, concurrency, seconds)).expect(200)
        rows.append((name, "REST", _size(len(body)), *_columns(outcome, processes.spent(running).since(before))))
    for name, method, message in _messages():
        before = processes.spent(running)
        outcome = load.run(_over_grpc(running, method, message, seconds))
        used = processes.spent(running).since(before)
        rows.append((name, "gRPC", _size(len(message)), *_columns(outcome.expect("OK"), used)))
    return rows


async def _over_grpc(running: RunningService, method: str, message: bytes, seconds: float) -> load.Outcome:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{running.grpc_port}", [("grpc.max_send_message_length", -1)]
    ) as channel:
        concurrency = 16 if len(message) < 100_000 else 2
        return await load.offer(load.rpc(channel, method, [message]), concurrency, seconds)


def _columns(outcome: load.Outcome, used: dict[str, float]) -> tuple[float, float, float, float]:
    count = len(outcome.seconds) / 1000
    return outcome.rate, outcome.percentile(50), used["Ingress"] / count, used["HAProxy"] / count


def _searches() -> list[bytes]:
    return [load.http_request("POST", "/collections/c/points/query", _text_query(text)) for text in texts.queries(500)]


def _text_query(text: str) -> bytes:
    return orjson.dumps({"query": {"text": text, "model": baseline.MINILM}})


def _text_upsert(count: int) -> bytes:
    points = [{"id": n, "vector": {"text": f"text number {n}", "model": baseline.MINILM}} for n in range(count)]
    return orjson.dumps({"points": points})


def _raw_upsert(count: int) -> bytes:
    rows = np.random.default_rng(0).random((count, _DIMENSIONS), np.float32)
    points = [{"id": n, "vector": row} for n, row in enumerate(rows)]
    return orjson.dumps({"points": points}, option=orjson.OPT_SERIALIZE_NUMPY)


def _messages() -> list[tuple[str, str, bytes]]:
    document = q.VectorInput(document=q.Document(text="how to bake bread", model=baseline.MINILM))
    dense = q.VectorInput(dense=q.DenseVector(data=[0.5] * _DIMENSIONS))
    points = [
        q.PointStruct(id=q.PointId(num=n), vectors=q.Vectors(vector=q.Vector(dense=q.DenseVector(data=[0.5] * 384))))
        for n in range(300)
    ]
    return [
        ("raw query", "/qdrant.Points/Query", _query(dense)),
        ("text query", "/qdrant.Points/Query", _query(document)),
        (
            "raw upsert of 300",
            "/qdrant.Points/Upsert",
            q.UpsertPoints(collection_name="c", points=points).SerializeToString(),
        ),
    ]


def _query(nearest: q.VectorInput) -> bytes:
    return q.QueryPoints(collection_name="c", query=q.Query(nearest=nearest)).SerializeToString()


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} KB"


if __name__ == "__main__":
    main()
