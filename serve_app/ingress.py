"""The ingress: the Serve deployment in front, with both doors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.grpc_util import RayServegRPCContext
from ray.serve.handle import DeploymentHandle

from deployments import catalogue
from deployments.catalogue import validated
from deployments.contract import Batch, Embeddings, ImageBatch, LoadedImages
from deployments.errors import ConfigError, ModelUnavailable, Overloaded
from serve_app import environment
from serve_app.access import Gate
from serve_app.embedded_qdrant import EmbeddedQdrant
from serve_app.grpc_api import GrpcApi
from serve_app.http_api import HttpApi
from serve_app.limits import Limits
from serve_app.methods import NAMES
from serve_app.pipeline import Pipeline
from serve_app.remote_qdrant import RemoteQdrant
from serve_app.router import Router
from serve_app.upstream import Upstream

_TRIES = 3


@serve.ingress()
class Ingress:
    """Speaks Qdrant's REST and gRPC APIs; finds inference objects, has them embedded, and forwards to Qdrant."""

    def __init__(
        self,
        catalogue_path: str,
        models: dict[str, DeploymentHandle[Any]],
        image_loader: DeploymentHandle[Any] | None,
        store: DeploymentHandle[Any] | None,
    ) -> None:
        limits = Limits()
        self._models = {name: handle.options(method_name="embed") for name, handle in models.items()}
        self._router = Router({name: self._model_call(name) for name in models}, limits.coalescing)
        self._upstream: Upstream = _upstream(store)
        self._pipeline = Pipeline(
            catalogue=catalogue.load(catalogue_path).only(models),
            router=self._router,
            upstream=self._upstream,
            load_images=_image_call(image_loader) if image_loader else None,
            limits=limits,
        )
        gate = Gate(environment.read())
        self._http = HttpApi(self._pipeline, gate)
        self._grpc = GrpcApi(self._pipeline, gate)

    def __serve_build_asgi_app__(self) -> HttpApi:
        return self._http

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take on new limits; requests under way keep the old ones."""
        limits = validated(Limits, user_config, "user_config of the deployment Ingress")
        self._pipeline.limits = limits
        self._router.limits = limits.coalescing

    async def __del__(self) -> None:
        await self._upstream.close()

    def _model_call(self, name: str) -> Callable[[Batch], Awaitable[Embeddings]]:
        async def call(batch: Batch) -> Embeddings:
            answer: Embeddings = await _surely(lambda: self._models[name].remote(batch), name)
            return answer

        return call


async def _surely(send: Callable[[], Any], what: str) -> Any:
    """The answer of a deployment whose work has no side effects: when a replica dies, another one does it again.

    Raises:
        ModelUnavailable: no replica answered.
        Overloaded: the deployment's queue is full.
    """
    for attempt in range(_TRIES):
        try:
            return await send()
        except RayActorError:
            await asyncio.sleep(0.05 * 4**attempt)
        except BackPressureError as error:
            raise Overloaded(f"too much work waits for {what}") from error
        except DeploymentUnavailableError as error:
            raise ModelUnavailable(f"{what} is not running", retry_after=10) from error
    raise ModelUnavailable(f"{what} did not answer; its replicas are being replaced", retry_after=5)


def _image_call(loader: DeploymentHandle[Any]) -> Callable[[ImageBatch], Awaitable[LoadedImages]]:
    async def call(batch: ImageBatch) -> LoadedImages:
        answer: LoadedImages = await _surely(lambda: loader.load.remote(batch), "the image loader")
        return answer

    return call


def _upstream(store: DeploymentHandle[Any] | None) -> Upstream:
    if store is not None:
        return EmbeddedQdrant(lambda: _surely(store.address.remote, "the embedded store"))
    settings = environment.read()
    if not settings.qdrant_url:
        raise ConfigError("neither an embedded store nor QDRANT_URL")
    return RemoteQdrant(settings.qdrant_url, settings.grpc_urls, settings.qdrant_ca_file)


def _grpc_method(name: str) -> Callable[..., Awaitable[Message]]:
    async def method(self: Any, request: Message, grpc_context: RayServegRPCContext) -> Message:
        answer: Message = await self._grpc.answer(name, request, grpc_context)
        return answer

    return method


for _name in NAMES:
    setattr(Ingress, _name, _grpc_method(_name))
