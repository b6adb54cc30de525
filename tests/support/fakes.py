"""Stand-ins that are quick and exact: a model, an image loader, a Qdrant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from google.protobuf.message import Message

from deployments.contract import (
    Batch,
    DenseVectors,
    Embeddings,
    ImageBatch,
    JoinedVectors,
    JsonVectors,
    LoadedImages,
    MultiVectors,
    Pair,
    SparseVectors,
    Vectors,
)
from serve_app.protocol.grpc_services import request_class, response_class
from serve_app.protocol.messages import Call, Reply, Request, Response, json_response, read


def dense(text: Any, dimensions: int = 4) -> np.ndarray:
    """A vector that tells which text (or image) and which length it was made of and for."""
    data = text.encode() if isinstance(text, str) else np.asarray(text).tobytes()
    seed = int.from_bytes(hashlib.sha256(data).digest()[:4], "little")
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return vector / np.linalg.norm(vector)


def as_wanted(batch: Batch, vectors: Vectors) -> Vectors:
    """As a replica does: written as JSON if that is wanted."""
    return JsonVectors([*map(JsonVectors.text, vectors)]) if batch.as_json else vectors


@dataclass
class FakeModel:
    """Embeds at once; a token is a character. Keeps the batches that it was sent."""

    dimensions: int = 4
    batches: list[Batch] = field(default_factory=list)

    async def __call__(self, batch: Batch) -> Embeddings:
        self.batches.append(batch)
        rows = np.stack([dense(value, self.dimensions) for value in batch.inputs])
        return Embeddings(as_wanted(batch, DenseVectors(rows)), np.array([len(value) for value in batch.inputs]))


@dataclass
class FakeSparseModel:
    """One entry for each input: its length at index 7."""

    async def __call__(self, batch: Batch) -> Embeddings:
        count = len(batch)
        sizes = np.array([len(value) for value in batch.inputs])
        vectors = SparseVectors(
            np.full(count, 7, np.uint32), sizes.astype(np.float32), np.arange(count + 1, dtype=np.int64)
        )
        return Embeddings(as_wanted(batch, vectors), sizes)


@dataclass
class FakeManyModel:
    """As BGE-M3: the wanted kinds of each input, of which all are made of ones; an input has five tokens."""

    batches: list[Batch] = field(default_factory=list)

    async def __call__(self, batch: Batch) -> Embeddings:
        self.batches.append(batch)
        count = len(batch)
        made = {
            "dense": DenseVectors(np.ones((count, 4), np.float32)),
            "multivector": MultiVectors(np.ones((2 * count, 3), np.float32), 2 * np.arange(count + 1)),
            "sparse": SparseVectors(np.full(count, 7, np.uint32), np.ones(count, np.float32), np.arange(count + 1)),
        }
        vectors = JoinedVectors(tuple(made[kind] for kind in batch.kinds)) if batch.kinds else made["dense"]
        return Embeddings(vectors, np.array([5] * count))


@dataclass
class FakeReranker:
    """Scores a pair by how many words of the query its document has, less one; a token is a character."""

    batches: list[Batch] = field(default_factory=list)

    async def __call__(self, batch: Batch) -> Embeddings:
        self.batches.append(batch)
        scores = [[_in_common(pair) - 1] for pair in batch.inputs if isinstance(pair, Pair)]
        return Embeddings(DenseVectors(np.array(scores, np.float32)), np.array([len(pair) for pair in batch.inputs]))


def _in_common(pair: Pair) -> int:
    return len({*pair.query.split()} & {*pair.document.split()})


async def load_images(batch: ImageBatch) -> LoadedImages:
    """Sources that start with `bad` are no images."""
    return LoadedImages(["not an image" if source.startswith("bad") else _pixels(source) for source in batch.sources])


def _pixels(source: str) -> Any:
    return np.full((2, 2, 3), len(source), np.uint8)


@dataclass
class FakeQdrant:
    """Keeps what it is sent and answers with what it is given."""

    answer: Any = field(default_factory=lambda: {"result": {"status": "completed"}, "status": "ok", "time": 0.001})
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    messages: list[tuple[str, Message]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    async def rest(self, request: Request) -> Response:
        body = await read(request.body)
        self.requests.append(request._replace(body=body or b""))
        headers = [(name.lower(), value) for name, value in self.headers]  # as the way to Qdrant has them
        return json_response(self.status, orjson.dumps(self.answer), headers)

    async def grpc(self, message: bytes, call: Call) -> Reply:
        self.messages.append((call.method, request_class(call.method).FromString(message)))
        self.calls.append(call)
        return Reply(response_class(call.method)().SerializeToString())

    async def close(self) -> None: ...

    @property
    def body(self) -> Any:
        """The last body it was sent."""
        return orjson.loads(self.requests[-1].body)


async def states() -> Mapping[str, str]:
    return {"org/dense": "ready", "org/vision": "scaled to zero"}
