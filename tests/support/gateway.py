"""Both doors on one pipeline, with a fake model and a fake Qdrant, for tests."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import httpx
import orjson

from deployments.catalogue.catalogue import Catalogue
from serve_app.api.grpc import GrpcApi
from serve_app.api.rest import HttpApi
from serve_app.batching.router import Router
from serve_app.config.settings import Limits
from serve_app.pipeline import Pipeline
from tests.serve_app.inference.test_plan import CATALOGUE
from tests.support.fakes import FakeModel, FakeQdrant, FakeSparseModel, load_images

UPSERT = {"points": [{"id": 1, "vector": {"text": "tea", "model": "org/dense"}, "payload": {"a": 1}}]}


class Gateway:
    """Both doors on one pipeline."""

    def __init__(self, catalogue: Catalogue = CATALOGUE, limits: Limits | None = None) -> None:
        self.qdrant = FakeQdrant()
        self.model = FakeModel()
        calls = {"org/dense": self.model, "org/vision": self.model, "qdrant/bm25": FakeSparseModel()}
        limits = limits or Limits()
        self.router = router = Router(calls, limits.coalescing)
        self.pipeline = Pipeline(catalogue, router, self.qdrant, load_images, limits)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(HttpApi(self.pipeline)), base_url="http://gateway"
        )
        self.grpc = GrpcApi(self.pipeline)

    async def put(self, body: Any, path: str = "/collections/c/points", **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.client.put(path, content=content, **options)


class Context:
    """What Ray Serve hands to a gRPC method."""

    def __init__(self) -> None:
        self.code: Any = None
        self.details = ""
        self.metadata: Any = []

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("api-key", "k"), ("user-agent", "x"), ("grpc-timeout", "1S")]

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.metadata = metadata


class SlowModel(FakeModel):
    """Never answers, and counts who gave up on it."""

    given_up = 0

    async def __call__(self, batch: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise


def impatient(**limits: Any) -> Gateway:
    gateway = Gateway(limits=Limits(**limits))
    gateway.pipeline._router._calls = {"org/dense": SlowModel()}  # type: ignore[dict-item]
    return gateway
