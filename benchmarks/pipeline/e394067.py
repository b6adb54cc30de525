"""The gateway of commit e394067 and of its neighbours, with models and a Qdrant that answer at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serve_app.exchange import Request, Response, json_response, read
from serve_app.grpc_api import GrpcApi
from serve_app.http_api import HttpApi
from serve_app.limits import Limits
from serve_app.methods import request_class
from serve_app.observability.health import Health
from serve_app.observability.upstream import MeasuredUpstream
from serve_app.remote_qdrant import RemoteQdrant
from serve_app.router import Router

from deployments import catalogue
from deployments.contract import DenseVectors, Embeddings, SparseVectors
from serve_app.pipeline import Pipeline

CONTRACT = Embeddings, DenseVectors, SparseVectors, None


class _Qdrant(RemoteQdrant):
    def __init__(self, answer: bytes, channel: Any) -> None:
        super().__init__(["http://127.0.0.1:1"], [])
        self._answer = answer
        self._channels = [channel]

    async def rest(self, request: Request) -> Response:
        await read(request.body)
        return json_response(200, self._answer)


async def _states() -> dict[str, str]:
    return {}


class Gateway:
    """Both APIs; see `gateway`."""

    def __init__(self, tree: Path, models: dict[str, Any], answer: bytes, channel: Any) -> None:
        limits = Limits()
        qdrant = MeasuredUpstream(_Qdrant(answer, channel))
        pipeline = Pipeline(
            catalogue=catalogue.load(tree / "configs/models/starter.yaml"),
            router=Router(models, limits.coalescing),
            upstream=qdrant,
            load_images=None,
            limits=limits,
        )
        self.http = HttpApi(pipeline, health=Health(qdrant, _states))
        self._grpc = GrpcApi(pipeline)

    async def grpc(self, method: str, message: bytes, context: Any) -> bytes:
        """One call, as Ray Serve has it: from bytes to bytes."""
        answer = await self._grpc.answer(method.rpartition("/")[2], request_class(method).FromString(message), context)
        return answer.SerializeToString()
