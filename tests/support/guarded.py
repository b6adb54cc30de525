"""A gateway with keys, for tests: both APIs, behind them a fake Qdrant that remembers who came."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
from google.protobuf.message import Message
from qdrant_client import grpc as q

from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.protocol.messages import Call, Reply, Request, Response
from tests.support.fakes import FakeQdrant
from tests.support.gateway import Context, Gateway
from tests.support.tokens import token

KEY, READ_ONLY = "a-key-of-the-tests-of-32-characters", "a-key-that-reads"
KEYS = {"QDRANT_API_KEY": KEY, "QDRANT_READ_ONLY_API_KEY": READ_ONLY}
TOKENS = {**KEYS, "QDRANT_JWT_RBAC": "true"}
REMOTE = {"QDRANT_URL": "http://qdrant:6333"}
QUERY = {"query": {"text": "tea", "model": "org/dense"}}
DOCUMENT = q.Document(text="tea", model="org/dense")


class RecordingQdrant(FakeQdrant):
    """Keeps the tenants and credentials that it sees too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str | None, Any]] = []

    async def rest(self, request: Request) -> Response:
        shown = [(key.decode(), value.decode()) for key, value in request.headers]
        self.seen.append((request.tenant, [pair for pair in shown if pair[0] in {"api-key", "authorization"}]))
        return await super().rest(request)

    async def grpc(self, message: bytes, call: Call) -> Reply:
        self.seen.append((call.tenant, [pair for pair in call.metadata if pair[0] in {"api-key", "authorization"}]))
        return await super().grpc(message, call)


class Shown(Context):
    """The context of a call that shows this metadata."""

    def __init__(self, metadata: list[tuple[str, str]]) -> None:
        super().__init__()
        self.invocation_metadata = lambda: metadata  # type: ignore[method-assign]


class Guarded(Gateway):
    """A gateway with these environment variables; no Qdrant server unless they name one."""

    qdrant: RecordingQdrant

    def __init__(self, qdrant: RecordingQdrant | None = None, **variables: str) -> None:
        super().__init__(qdrant=qdrant or RecordingQdrant(), authenticator=Authenticator(environment.read(variables)))

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, content=orjson.dumps(body) if body else None, headers=shown)

    async def call(self, method: str, message: Message, **metadata: str) -> tuple[Any, str]:
        """The status code (none where all went well) and its details."""
        context = Shown([(name.replace("_", "-"), value) for name, value in metadata.items()])
        await self.grpc.answer(method.rpartition("/")[2], message, context)
        return context.code, context.details

    @property
    def untouched(self) -> bool:
        """Whether neither a model nor Qdrant has heard of anything."""
        return not (self.model.batches or self.qdrant.requests or self.qdrant.messages)


def upsert(collection: str = "c") -> q.UpsertPoints:
    vectors = q.Vectors(vector=q.Vector(document=DOCUMENT))
    return q.UpsertPoints(collection_name=collection, points=[q.PointStruct(id=q.PointId(num=1), vectors=vectors)])


def query(collection: str = "c", **fields: Any) -> q.QueryPoints:
    return q.QueryPoints(collection_name=collection, query=q.Query(nearest=q.VectorInput(document=DOCUMENT)), **fields)


def granted(*grants: tuple[str, str], **claims: Any) -> str:
    access = [{"collection": collection, "access": level} for collection, level in grants]
    return token({"access": access, **claims}, KEY.encode()).decode()


BAD: dict[str, list[tuple[str, str]]] = {
    "nothing": [],
    "empty": [("api-key", "")],
    "wrong": [("api-key", "x" * 2000)],
    "no bearer": [("authorization", KEY)],
    "wrong token": [("authorization", "Bearer a.b.c")],
    "two, the wrong one first": [("api-key", "x"), ("api-key", KEY)],
}
"""Metadata that shows no credential of a service with `TOKENS`, by what is wrong with it."""

KNOWN = [
    ("api-key", KEY),
    ("api-key", READ_ONLY),
    ("authorization", f"Bearer {KEY}"),
    ("api-key", granted(("c", "r"))),
    ("authorization", f"Bearer {granted(('c', 'rw'))}"),
]
"""Metadata that shows one."""
