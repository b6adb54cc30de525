"""The ingress: the Serve deployment in front, which speaks both protocols. Wiring only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve._private.logging_utils import get_serve_logs_dir
from ray.serve.grpc_util import RayServegRPCContext
from ray.serve.handle import DeploymentHandle

from deployments import channel
from deployments.catalogue.records import validated
from deployments.errors import ConfigError
from deployments.metrics import export
from serve_app import background
from serve_app.api import rerank
from serve_app.api.grpc import GrpcApi
from serve_app.api.health import Health
from serve_app.api.management.routes import Console
from serve_app.api.management.service_health import ServiceHealth
from serve_app.api.openai import OpenAiApi
from serve_app.api.rest import HttpApi
from serve_app.auth.access import Authenticator
from serve_app.batching.router import Router
from serve_app.batching.vector_cache import VectorCache
from serve_app.cluster import applications
from serve_app.cluster.additions import Additions
from serve_app.cluster.handles import ReplicatedImageLoader, ReplicatedModel, ReplicatedProviders, surely
from serve_app.cluster.model_states import ModelStates
from serve_app.cluster.near import Machine
from serve_app.cluster.served import ServedModels
from serve_app.config import arguments, environment
from serve_app.config.arguments import Arguments
from serve_app.config.environment import Environment
from serve_app.config.settings import IngressSettings, LiveSettings
from serve_app.embedder import Embedder
from serve_app.inference.provider_keys import OperatorKeys
from serve_app.ledger.additions import AdditionBoard
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quotas, by_catalogue
from serve_app.ledger.switchboard import Switchboard
from serve_app.observability import tracing
from serve_app.observability.record import Watch
from serve_app.onboarding import RayCluster
from serve_app.pipeline import Pipeline
from serve_app.protocol.grpc_services import NAMES
from serve_app.protocol.messages import RawMessage
from serve_app.protocol.offload import collect_in_lots, take_short_turns
from serve_app.upstream.aliases import Aliases
from serve_app.upstream.base import Upstream
from serve_app.upstream.embedded import EmbeddedQdrant
from serve_app.upstream.measured import MeasuredUpstream
from serve_app.upstream.remote import RemoteQdrant


@serve.ingress()
class Ingress:
    """Speaks Qdrant's REST and gRPC APIs; finds inference objects, has them embedded, and forwards to Qdrant."""

    async def __init__(  # type: ignore[misc]  # Ray Serve awaits it
        self,
        chosen: Arguments,
        models: dict[str, DeploymentHandle[Any]],
        image_loader: DeploymentHandle[Any] | None,
        store: DeploymentHandle[Any] | None,
        providers: DeploymentHandle[Any] | None,
    ) -> None:
        take_short_turns()
        collect_in_lots()
        cards = arguments.served(chosen)
        variables = environment.read()
        self._settings = LiveSettings()
        board = AdditionBoard()
        self._machine = Machine(channel.folder(), ray.get_runtime_context().gcs_address, _count_nodes)
        own = {name: _model(name, handle, self._machine) for name, handle in models.items()}
        served = ServedModels(cards, own, board, partial(applications.connect, self._machine))
        self._upstream: Upstream = _upstream(store, variables)
        authenticator = Authenticator(variables)
        states = ModelStates(served.places)
        outside = ReplicatedProviders(providers) if providers else None
        switchboard = Switchboard()
        embedder = Embedder(
            catalogue=served.catalogue,
            settings=self._settings,
            router=Router(served.calls, self._settings),
            load_images=ReplicatedImageLoader(image_loader).load if image_loader else None,
            meter=Meter(Quotas(by_catalogue(authenticator.quotas, cards)), switchboard),
            model_states=states,
            providers=outside.embed if outside else None,
            vectors=VectorCache(self._settings),
            operator_keys=OperatorKeys(authenticator.provider_keys, frozenset(_open_to(chosen))),
        )
        pipeline = Pipeline(embedder, MeasuredUpstream(self._upstream))
        waiting = embedder.admission.waiting
        self._ledger = Ledger(
            embedder.meter,
            switchboard,
            variables.database_url,
            count_nodes=_count_nodes,
            waiting=waiting,
            additions=board,
        )
        self._additions = Additions(self._ledger, served, RayCluster(), loads_images=image_loader is not None)
        self._watch = Watch(tracing.start() if variables.asks_for_traces else None)
        health = Health(self._upstream, states)
        port = variables.qdrant_inference_grpc_port
        size = (lambda: surely(store.size.remote, "the embedded store")) if store else None
        glance = ServiceHealth(lambda: health.trouble, self._upstream, self._ledger, states.read, size)
        ask = outside.states if outside else None
        console = Console(
            authenticator,
            embedder,
            self._ledger,
            states.read,
            served.models,
            additions=self._additions,
            glance=glance,
            providers=ask,
            grpc_port=port,
        )
        openai = OpenAiApi(authenticator, embedder, served.models)
        others = (console, openai, *rerank.apis(authenticator, embedder))
        self._http = HttpApi(pipeline, authenticator, self._watch, health, others)
        self._grpc = GrpcApi(pipeline, authenticator, self._watch)
        aliases = Aliases(self._upstream, switchboard, variables.qdrant_api_key)
        look_after = background.watch(health, embedder, self._ledger, aliases, self._additions)
        self._watching = asyncio.get_running_loop().create_task(look_after)
        self._stop_exporting = export.start(lambda: None)
        await self._ledger.start()  # what is switched off stays off from the first request on

    def __serve_build_asgi_app__(self) -> HttpApi:
        return self._http

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        """Answer a gRPC call; `front.grpc_calls` hands it over."""
        return await self._grpc.answer(message, context)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take on new settings; what a request has been checked against is not checked again."""
        settings = validated(IngressSettings, user_config, "user_config of the deployment Ingress")
        self._settings.replace(settings)
        self._watch.log_as(settings.request_log, _request_log)

    async def __del__(self) -> None:
        await self._additions.close()
        await self._ledger.close()
        self._watching.cancel()
        self._stop_exporting()
        await self._upstream.close()
        self._machine.close()
        await asyncio.to_thread(self._watch.close)


def _model(name: str, handle: DeploymentHandle[Any], machine: Machine) -> ReplicatedModel:
    return ReplicatedModel(name, handle, machine.near(handle.app_name, handle.deployment_name))


def _open_to(chosen: Arguments) -> Sequence[str]:
    """Who may use the operator's keys."""
    return chosen.providers.operator_keys_for if chosen.providers else ()


def _count_nodes() -> int:
    return sum(node["Alive"] for node in ray.nodes()) if export.in_ray() else 1  # type: ignore[no-untyped-call]


def _request_log() -> Path:
    return Path(get_serve_logs_dir(), f"requests_{serve.get_replica_context().replica_tag}.log")


def _upstream(store: DeploymentHandle[Any] | None, variables: Environment) -> Upstream:
    if store is not None:
        return EmbeddedQdrant(lambda: surely(store.address.remote, "the embedded store"))
    if not variables.qdrant_url:
        raise ConfigError("neither an embedded store nor QDRANT_URL")
    return RemoteQdrant(variables.qdrant_url, variables.grpc_urls, variables.qdrant_ca_file)


async def _answer(self: Any, request: RawMessage, grpc_context: RayServegRPCContext) -> RawMessage:
    """What Ray Serve's own proxy has called for a method, while HAProxy knows no replica."""
    answer: RawMessage = await self.answer_call(request, grpc_context)
    return answer


for _name in NAMES:
    setattr(Ingress, _name, _answer)
