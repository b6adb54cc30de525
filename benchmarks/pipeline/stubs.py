"""What answers at once: models, a Qdrant, a gRPC channel, and Ray Serve's context of a call. Of no commit either."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import grpc
import numpy as np
import orjson
from kinds import DENSE, DIMENSIONS, METADATA, SPARSE  # type: ignore[attr-defined]  # the file beside this one
from qdrant_client import grpc as q

_POINTS = [{"id": number, "version": 1, "score": 0.5, "payload": {"n": number}} for number in range(10)]
ANSWER = orjson.dumps({"result": {"points": _POINTS}, "status": "ok", "time": 0.001})

_ENTRIES = 30
"""Of a sparse vector."""


def models(contract: Any) -> dict[str, Callable[[Any], Any]]:
    """Each model's call, which gives vectors of no meaning."""
    embeddings, dense_vectors, sparse_vectors, json_vectors = contract
    random = np.random.default_rng(0)
    rows = random.random((1024, DIMENSIONS), np.float32)
    indices = np.arange(1024 * _ENTRIES, dtype=np.uint32)
    values = random.random(len(indices), np.float32)
    tokens = np.full(1024, 9, np.int64)
    dense_texts = [orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) for row in rows]
    sparse_texts = [
        orjson.dumps(
            {"indices": indices[at : at + _ENTRIES], "values": values[at : at + _ENTRIES]},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        for at in range(0, len(indices), _ENTRIES)
    ]

    def wants_json(batch: Any) -> bool:
        return json_vectors is not None and batch.as_json

    async def dense(batch: Any) -> Any:
        if wants_json(batch):
            return embeddings(json_vectors(dense_texts[: len(batch)]), tokens[: len(batch)])
        return embeddings(dense_vectors(rows[: len(batch)]), tokens[: len(batch)])

    async def sparse(batch: Any) -> Any:
        if wants_json(batch):
            return embeddings(json_vectors(sparse_texts[: len(batch)]), tokens[: len(batch)])
        end, offsets = len(batch) * _ENTRIES, np.arange(len(batch) + 1, dtype=np.int64) * _ENTRIES
        return embeddings(sparse_vectors(indices[:end], values[:end], offsets), tokens[: len(batch)])

    return {DENSE: dense, **dict.fromkeys(SPARSE, sparse)}


_FOUND = q.QueryResponse(
    result=[
        q.ScoredPoint(id=q.PointId(num=n), version=1, score=0.5, payload={"n": q.Value(integer_value=n)})
        for n in range(10)
    ],
    time=0.001,
).SerializeToString()
_STORED = q.PointsOperationResponse(
    result=q.UpdateResult(operation_id=1, status=q.UpdateStatus.Completed), time=0.001
).SerializeToString()


class Channel:
    """A gRPC channel with a connection."""

    def get_state(self, **_: bool) -> grpc.ChannelConnectivity:
        """Connected."""
        return grpc.ChannelConnectivity.READY

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, **_: Any
    ) -> Callable[..., _Call]:
        """A way to call a method."""
        answer = _STORED if method.endswith("Upsert") else _FOUND

        def call(message: Any, **_: Any) -> _Call:
            if request_serializer:
                request_serializer(message)
            return _Call(response_deserializer(answer) if response_deserializer else answer)

        return call


class _Call:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer
        yield

    async def initial_metadata(self) -> tuple[()]:
        return ()

    async def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("content-type", "application/grpc"), ("date", "Thu, 26 Nov 2026 20:00:00 GMT"))


class Context:
    """What Ray Serve hands to a gRPC method; only what is used of it."""

    def invocation_metadata(self) -> list[tuple[str, str]]:
        """What the client sent."""
        return list(METADATA)

    def set_code(self, code: Any) -> None:
        """Something went wrong."""
        raise RuntimeError(code)

    def set_details(self, details: str) -> None:
        """What that is."""
        raise RuntimeError(details)

    def set_trailing_metadata(self, metadata: Any) -> None:
        """What is sent back."""
