"""The ingress: the Serve deployment in front, with both doors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from google.protobuf.message import Message
from ray import serve
from ray.exceptions import RayActorError
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.grpc_util import RayServegRPCContext
from ray.serve.handle import DeploymentHandle

from deployments.catalogue import catalogue
from deployments.catalogue.records import validated
from deployments.contract import Batch, Embeddings, Explanation, ImageBatch, LoadedImages, Running
from deployments.errors import ConfigError, ModelUnavailable, Overloaded
from deployments.metrics import export
from serve_app import background
from serve_app.api.grpc import GrpcApi
from serve_app.api.health import Health
from serve_app.api.management.routes import Console
from serve_app.api.rest import HttpApi
from serve_app.auth.access import Authenticator
from serve_app.batching.router import Router
from serve_app.cluster.model_states import ModelStates
from serve_app.config import environment
from serve_app.config.environment import Environment
from serve_app.config.settings import IngressSettings, LiveSettings
from serve_app.embedder import Embedder
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quotas, by_catalogue
from serve_app.ledger.switchboard import Switchboard
from serve_app.observability import tracing
from serve_app.observability.record import Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol.grpc_services import NAMES
from serve_app.upstream.aliases import Aliases
from serve_app.upstream.base import Upstream
from serve_app.upstream.embedded import EmbeddedQdrant
from serve_app.upstream.measured import MeasuredUpstream
from serve_app.upstream.remote import RemoteQdrant

_TRIES = 3
_TRIES_WITH_IMAGES = 2
"""Fewer, because the hosts of images see each, and it takes time."""


@serve.ingress()
class Ingress:
    """Speaks Qdrant's REST and gRPC APIs; finds inference objects, has them embedded, and forwards to Qdrant."""

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self,
        catalogue_path: str,
        models: dict[str, DeploymentHandle[Any]],
        image_loader: DeploymentHandle[Any] | None,
        store: DeploymentHandle[Any] | None,
    ) -> None:
        cards = catalogue.load(catalogue_path).only(models)
        variables = environment.read()
        self._settings = LiveSettings()
        self._models = {name: handle.options(method_name="embed") for name, handle in models.items()}
        self._upstream: Upstream = _upstream(store, variables)
        authenticator = Authenticator(variables)
        states = ModelStates({name: handle.deployment_name for name, handle in models.items()})
        switchboard = Switchboard()
        embedder = Embedder(
            catalogue=cards,
            settings=self._settings,
            router=Router({name: self._model_call(name) for name in models}, self._settings),
            load_images=_image_call(image_loader) if image_loader else None,
            meter=Meter(Quotas(by_catalogue(authenticator.quotas, cards)), switchboard),
            model_states=states,
        )
        pipeline = Pipeline(embedder, MeasuredUpstream(self._upstream))
        self._ledger = Ledger(embedder.meter, switchboard, variables.database_url, count_nodes=_count_nodes)
        self._watch = Watch(tracing.start(variables))
        health = Health(self._upstream, states)
        port = variables.qdrant_inference_grpc_port
        console = Console(authenticator, embedder, self._ledger, states.read, _Replicas(models), grpc_port=port)
        self._http = HttpApi(pipeline, authenticator, self._watch, health, console)
        self._grpc = GrpcApi(pipeline, authenticator, self._watch)
        aliases = Aliases(self._upstream, switchboard, variables.qdrant_api_key)
        look_after = background.watch(health, embedder, self._ledger, aliases)
        self._watching = asyncio.get_running_loop().create_task(look_after)
        self._stop_exporting = export.start(lambda: None)
        await self._ledger.start()  # what is switched off stays off from the first request on

    def __serve_build_asgi_app__(self) -> HttpApi:
        return self._http

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take on new settings; what a request has been checked against is not checked again."""
        settings = validated(IngressSettings, user_config, "user_config of the deployment Ingress")
        self._settings.replace(settings)
        self._watch.log_as(settings.request_log, _request_log)

    async def __del__(self) -> None:
        await self._ledger.close()
        self._watching.cancel()
        self._stop_exporting()
        await self._upstream.close()
        await asyncio.to_thread(self._watch.close)

    def _model_call(self, name: str) -> Callable[[Batch], Awaitable[Embeddings]]:
        async def call(batch: Batch) -> Embeddings:
            answer: Embeddings = await _surely(lambda: self._models[name].remote(batch), name)
            return answer

        return call


class _Replicas:
    """What the console asks the models; see `console.replicas`."""

    def __init__(self, handles: Mapping[str, DeploymentHandle[Any]]) -> None:
        self._handles = handles

    async def running(self, model: str) -> Running:
        answer: Running = await _surely(self._handles[model].running.remote, model)
        return answer

    async def explain(self, model: str, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        send = partial(self._handles[model].explain.remote, batch, indices)
        answer: Sequence[Explanation] = await _surely(send, model)
        return answer

    async def texts(self, model: str, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        answer: Sequence[str] = await _surely(partial(self._handles[model].texts.remote, ids), model)
        return answer


async def _surely(send: Callable[[], Any], what: str, tries: int = _TRIES) -> Any:
    """The answer of a deployment whose work has no side effects: when a replica dies, another one does it again.

    Raises:
        ModelUnavailable: no replica answered.
        Overloaded: the deployment's queue is full.
    """
    for attempt in range(tries):
        response = send()
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except RayActorError:
            await asyncio.sleep(0.05 * 4**attempt)
        except BackPressureError as error:
            raise Overloaded(f"too much work waits for {what}") from error
        except DeploymentUnavailableError as error:
            raise ModelUnavailable(f"{what} is not running", retry_after=10) from error
    raise ModelUnavailable(f"{what} did not answer; its replicas are being replaced", retry_after=5)


def _count_nodes() -> int:
    return sum(node["Alive"] for node in ray.nodes()) if export.in_ray() else 1  # type: ignore[no-untyped-call]


def _request_log() -> Path:
    return Path(get_serve_logs_dir(), f"requests_{serve.get_replica_context().replica_tag}.log")


def _image_call(loader: DeploymentHandle[Any]) -> Callable[[ImageBatch], Awaitable[LoadedImages]]:
    async def call(batch: ImageBatch) -> LoadedImages:
        answer: LoadedImages = await _surely(lambda: loader.load.remote(batch), "the image loader", _TRIES_WITH_IMAGES)
        return answer

    return call


def _upstream(store: DeploymentHandle[Any] | None, variables: Environment) -> Upstream:
    if store is not None:
        return EmbeddedQdrant(lambda: _surely(store.address.remote, "the embedded store"))
    if not variables.qdrant_url:
        raise ConfigError("neither an embedded store nor QDRANT_URL")
    return RemoteQdrant(variables.qdrant_url, variables.grpc_urls, variables.qdrant_ca_file)


def _grpc_method(name: str) -> Callable[..., Awaitable[Message]]:
    async def method(self: Any, request: Message, grpc_context: RayServegRPCContext) -> Message:
        answer: Message = await self._grpc.answer(name, request, grpc_context)
        return answer

    return method


for _name in NAMES:
    setattr(Ingress, _name, _grpc_method(_name))
