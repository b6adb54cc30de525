"""What is sent: each kind of request over REST and gRPC. Nothing here is of one commit; only the worker imports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from qdrant_client import grpc as q

DENSE = "sentence-transformers/all-minilm-l6-v2"
SPARSE = ("qdrant/bm25", "starter/splade-tiny")
DIMENSIONS = 384
_TEXT = "how to bake bread"
_UPSERTS = (1, 10, 100, 1000)
_HYBRID = 100


class Kind(NamedTuple):
    """A request: its body for REST or message for gRPC, by method and path, and how many are sent at a time."""

    protocol: str
    name: str
    method: str
    path: str
    body: bytes
    at_a_time: int = 1

    @property
    def title(self) -> str:
        """Its name in tables."""
        return f"{self.protocol} {self.name}"


def kinds() -> dict[str, Kind]:
    """All, by their titles."""
    return {kind.title: kind for kind in [*_rest(), *_grpc()]}


def _rest() -> list[Kind]:
    def query(name: str, body: Any, at_a_time: int = 1) -> Kind:
        return Kind("REST", name, "POST", "/collections/c/points/query", orjson.dumps(body), at_a_time)

    text = {"query": {"text": _TEXT, "model": DENSE}, "limit": 10}
    prefetch = [{"query": {"text": _TEXT, "model": m}, "using": m[-4:], "limit": 20} for m in (DENSE, *SPARSE)]
    points = [{"id": n, "vector": {"text": f"text number {n}", "model": DENSE}} for n in range(max(_UPSERTS))]
    hybrid = [
        {"id": n, "vector": {m[-4:]: {"text": f"text number {n}", "model": m} for m in (DENSE, *SPARSE)}}
        for n in range(_HYBRID)
    ]
    return [
        query("raw query", {"query": [0.5] * DIMENSIONS, "limit": 10}),
        query("text query", text),
        query("text query, 64 at a time", text, 64),
        query("hybrid query", {"prefetch": prefetch, "query": {"fusion": "rrf"}, "limit": 10}),
        *(
            Kind("REST", f"upsert of {n}", "PUT", "/collections/c/points", orjson.dumps({"points": points[:n]}))
            for n in _UPSERTS
        ),
        Kind("REST", f"hybrid upsert of {_HYBRID}", "PUT", "/collections/c/points", orjson.dumps({"points": hybrid})),
    ]


def _grpc() -> list[Kind]:
    def query(name: str, at_a_time: int = 1, **fields: Any) -> Kind:
        message = q.QueryPoints(collection_name="c", limit=10, **fields)
        return Kind("gRPC", name, "Query", "/qdrant.Points/Query", message.SerializeToString(), at_a_time)

    def document(text: str, model: str = DENSE) -> q.Document:
        return q.Document(text=text, model=model)

    def nearest(model: str) -> q.Query:
        return q.Query(nearest=q.VectorInput(document=document(_TEXT, model)))

    dense = q.VectorInput(dense=q.DenseVector(data=[0.5] * DIMENSIONS))
    prefetch = [q.PrefetchQuery(query=nearest(m), using=m[-4:], limit=20) for m in (DENSE, *SPARSE)]
    points = [
        q.PointStruct(id=q.PointId(num=n), vectors=q.Vectors(vector=q.Vector(document=document(f"text number {n}"))))
        for n in range(max(_UPSERTS))
    ]
    hybrid = [
        q.PointStruct(
            id=q.PointId(num=n),
            vectors=q.Vectors(
                vectors=q.NamedVectors(
                    vectors={m[-4:]: q.Vector(document=document(f"text number {n}", m)) for m in (DENSE, *SPARSE)}
                )
            ),
        )
        for n in range(_HYBRID)
    ]
    return [
        query("raw query", query=q.Query(nearest=dense)),
        query("text query", query=nearest(DENSE)),
        query("text query, 64 at a time", 64, query=nearest(DENSE)),
        query("hybrid query", prefetch=prefetch, query=q.Query(fusion=q.Fusion.RRF)),
        *(
            Kind("gRPC", f"upsert of {n}", "Upsert", "/qdrant.Points/Upsert", _upsert(points[:n]).SerializeToString())
            for n in _UPSERTS
        ),
        Kind(
            "gRPC",
            f"hybrid upsert of {_HYBRID}",
            "Upsert",
            "/qdrant.Points/Upsert",
            _upsert(hybrid).SerializeToString(),
        ),
    ]


def _upsert(points: list[q.PointStruct]) -> q.UpsertPoints:
    return q.UpsertPoints(collection_name="c", points=points)


METADATA = (("user-agent", "grpc-python/1.70"), ("api-key", "secret"), ("x-request-id", "b1946ac9"))


def scope(kind: Kind) -> dict[str, Any]:
    """An HTTP request as a server hands it to an ASGI app; HAProxy has added to what a client sends."""
    headers = {
        "host": "127.0.0.1:6333",
        "accept-encoding": "gzip, deflate",
        "connection": "keep-alive",
        "content-type": "application/json",
        "user-agent": "qdrant-client/1.20 python/3.11",
        "content-length": str(len(kind.body)),
        "x-request-id": "b1946ac9",
    }
    return {
        "type": "http",
        "method": kind.method,
        "path": kind.path,
        "raw_path": kind.path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


Ask = Callable[[], Any]
"""Sends one request and waits for its answer."""
