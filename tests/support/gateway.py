"""Both APIs on one pipeline, with a fake model and a fake Qdrant, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import httpx
import orjson
from google.protobuf.message import Message

from deployments.catalogue.catalogue import Catalogue
from serve_app.api.grpc import GrpcApi
from serve_app.api.health import Health
from serve_app.api.rest import HttpApi
from serve_app.auth.access import OPEN, Authenticator
from serve_app.batching.lanes import CallProviders
from serve_app.batching.router import Call, Router
from serve_app.batching.vector_cache import VectorCache
from serve_app.config.settings import IngressSettings, LiveSettings
from serve_app.embedder import Embedder, LoadImages, ModelStates
from serve_app.inference.provider_keys import OperatorKeys
from serve_app.ledger.meter import Meter
from serve_app.observability.record import Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol.grpc_services import _METHODS, response_class
from serve_app.protocol.messages import RawMessage
from serve_app.upstream.base import Upstream
from tests.support.cards import CATALOGUE
from tests.support.fakes import FakeModel, FakeQdrant, FakeSparseModel, load_images

UPSERT = {"points": [{"id": 1, "vector": {"text": "tea", "model": "org/dense"}, "payload": {"a": 1}}]}


async def all_ready() -> Mapping[str, str]:
    return {}


class Gateway:
    """Both APIs on one pipeline. What is not given is open, unlimited, unwatched, and quick."""

    def __init__(  # noqa: PLR0913  a test names what it is about
        self,
        catalogue: Catalogue = CATALOGUE,
        *,
        settings: IngressSettings | None = None,
        models: Mapping[str, Call] | None = None,
        states: ModelStates | None = None,
        meter: Meter | None = None,
        qdrant: FakeQdrant | None = None,
        upstream: Callable[[Upstream], Upstream] = lambda qdrant: qdrant,
        authenticator: Authenticator = OPEN,
        watch: Watch | None = None,
        health: Health | None = None,
        providers: CallProviders | None = None,
        operator_keys: OperatorKeys | None = None,
        keeps_vectors: bool = False,
        load: LoadImages = load_images,
    ) -> None:
        self.qdrant = qdrant or FakeQdrant()
        self.model = FakeModel()
        calls = {"org/dense": self.model, "org/vision": self.model, "qdrant/bm25": FakeSparseModel()}
        self.settings = LiveSettings(settings)
        self.embedder = Embedder(
            catalogue=catalogue,
            settings=self.settings,
            router=Router({**calls, **(models or {})}, self.settings),
            load_images=load,
            meter=meter or Meter(),
            model_states=states or all_ready,
            providers=providers,
            operator_keys=operator_keys or OperatorKeys(),
            vectors=VectorCache(self.settings) if keeps_vectors else None,
        )
        self.pipeline = Pipeline(self.embedder, upstream(self.qdrant))
        http = HttpApi(self.pipeline, authenticator, watch, health)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(http), base_url="http://gateway")
        self.grpc = Calls(GrpcApi(self.pipeline, authenticator, watch))

    async def put(self, body: Any, path: str = "/collections/c/points", **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.client.put(path, content=content, **options)


class Calls:
    """The gRPC API, called with messages by the last part of a method's name."""

    def __init__(self, api: GrpcApi) -> None:
        self._api = api

    async def answer(self, name: str, message: Message, context: Any) -> Message:
        method = full_name(name, message)
        answer = await self._api.answer(RawMessage(method, message.SerializeToString()), context)
        return response_class(method).FromString(answer.SerializeToString())


def full_name(name: str, message: Message) -> str:
    """No two methods of the same name take the same message."""
    (found,) = [
        method
        for method, described in _METHODS.items()
        if (described.name, described.input_type.full_name) == (name, message.DESCRIPTOR.full_name)
    ]
    return found


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


def impatient(states: ModelStates | None = None, **settings: Any) -> Gateway:
    """A gateway whose model never answers."""
    return Gateway(settings=IngressSettings(**settings), models={"org/dense": SlowModel()}, states=states)
