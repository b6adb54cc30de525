"""The gateway of this tree, with models and a Qdrant that answer at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployments.catalogue import catalogue
from deployments.contract import DenseVectors, Embeddings, JsonVectors, SparseVectors
from serve_app.api.grpc import GrpcApi
from serve_app.api.health import Health
from serve_app.api.rest import HttpApi
from serve_app.batching.router import Router
from serve_app.config.settings import LiveSettings
from serve_app.embedder import Embedder
from serve_app.ledger.meter import Meter
from serve_app.pipeline import Pipeline
from serve_app.protocol.messages import Metadata, RawMessage, Reply, Request, Response, json_response, read
from serve_app.upstream.grpc_channel import Channel
from serve_app.upstream.measured import MeasuredUpstream
from serve_app.upstream.remote import RemoteQdrant

CONTRACT = Embeddings, DenseVectors, SparseVectors, JsonVectors


class _Qdrant(RemoteQdrant):
    """Answers REST by itself; gRPC goes as far as a channel that answers."""

    def __init__(self, answer: bytes, channel: Any) -> None:
        super().__init__(["http://127.0.0.1:1"], [])
        self._answer = answer
        self._channels = [_Connected(channel)]

    async def rest(self, request: Request) -> Response:
        await read(request.body)
        return json_response(200, self._answer)


class _Connected(Channel):
    """A channel that has a connection already, by `stubs.Channel`, which is one of grpc.aio's."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def connects(self, _: float) -> bool:
        return True

    async def call(self, method: str, message: bytes, metadata: Metadata, timeout_s: float | None) -> Reply:
        call = self._channel.unary_unary(method)(message, metadata=metadata, timeout=timeout_s)
        return Reply(await call, (*await call.initial_metadata(), *await call.trailing_metadata()))


async def _states() -> dict[str, str]:
    return {}


class Gateway:
    """Both APIs."""

    def __init__(self, tree: Path, models: dict[str, Any], answer: bytes, channel: Any) -> None:
        settings = LiveSettings()
        embedder = Embedder(
            catalogue=catalogue.load(tree / "configs/models/starter.yaml"),
            settings=settings,
            router=Router(models, settings),
            load_images=None,
            meter=Meter(),
            model_states=_states,
        )
        qdrant = MeasuredUpstream(_Qdrant(answer, channel))
        pipeline = Pipeline(embedder, qdrant)
        self.http = HttpApi(pipeline, health=Health(qdrant, _states))
        self._grpc = GrpcApi(pipeline)

    async def grpc(self, method: str, message: bytes, context: Any) -> bytes:
        """One call, as Ray Serve has it: from bytes to bytes."""
        answer = await self._grpc.answer(RawMessage(method, message), context)
        return answer.SerializeToString()
