"""Fetches, checks and deploys a model that is added, in a process of its own: a Ray task.

So a model that takes too much memory, or ends its process, costs no replica. It gets what others leave of the machine,
where the model's files may be written: on a cluster, on a node with a way out. The model gets a Serve application of
its own, and is not called by HTTP: its deployments begin without a replica, unless the addition says otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from deployments.catalogue import records
from deployments.catalogue.card import ModelCard
from deployments.errors import SetupError
from serve_app.cluster import applications
from serve_app.cluster.additions import Cluster, Step
from serve_app.cluster.served import application
from serve_app.ledger.additions import Addition, Deployed, Wanted

Tell = Callable[[Step], object]

_WAY_OUT = "internet"
"""The resource of nodes that may reach the internet and write model files, if a cluster has them."""

_CPUS = 0.1
_PERIOD_S = 0.5
"""Between two steps that tell of the same download."""

_SURGE = 25
_POLICY = "deployments.autoscaling:replicas"


class RayCluster(Cluster):
    """The machines of the service."""

    async def onboard(self, addition: Addition) -> AsyncGenerator[Step, None]:
        """The steps of an addition, from a process of its own; closing the generator ends that."""
        import ray  # noqa: PLC0415  to read this module takes no Ray

        steps = await asyncio.to_thread(_begun, onboard.__name__, addition)
        try:
            async for step in steps:
                yield await step
        finally:
            await asyncio.to_thread(ray.cancel, steps, force=True)

    async def present(self) -> Collection[str]:
        """The applications of added models."""
        return await asyncio.to_thread(applications.present)

    async def remove(self, name: str) -> None:
        """End an application."""
        await asyncio.to_thread(applications.remove, name)

    async def forget(self, cards: Sequence[ModelCard]) -> None:
        """Delete the files of models."""
        async for _ in await asyncio.to_thread(_begun, forget.__name__, cards):
            pass


def _begun(work: str, *arguments: Any) -> Any:
    """A function of this module that began as a Ray task; what it yields comes as references to that.

    Its process ends with it, and with that its memory. It is not done twice, because it may be what ended its process.
    """
    import ray  # noqa: PLC0415  as above

    def task(*arguments: Any) -> Iterator[Any]:
        # Sent as it stands here, for a process that has imported nothing yet: that is work, too.
        import importlib  # noqa: PLC0415
        import os  # noqa: PLC0415

        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        yield from getattr(importlib.import_module("serve_app.onboarding"), work)(*arguments)

    way_out = {_WAY_OUT: 0.01} if _WAY_OUT in ray.cluster_resources() else {}  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {
        "num_cpus": 0 if way_out else _CPUS,
        "resources": way_out,
        "max_calls": 1,
        "max_retries": 0,
    }
    return ray.remote(**options, num_returns="streaming")(task).remote(*arguments)


def onboard(addition: Addition) -> Iterator[Step]:
    """The steps of an addition; the last one is `ready` or `failed`."""
    yield from _relayed(partial(_bring, addition))


def forget(cards: Sequence[ModelCard]) -> Iterator[None]:
    """Delete the files of models from the cache, and what was built from them; there is nothing to yield."""
    from deployments.files.store import ModelStore, State, cache_folder  # noqa: PLC0415
    from deployments.graphs import cache  # noqa: PLC0415  brings onnx

    store = ModelStore(cache_folder())
    for card in cards:
        if store.state(card) is State.READY and (folder := store.folder(card)):
            cache.forget(folder)
        store.remove(card)
    yield from ()


def _relayed(work: Callable[[Tell], None]) -> Iterator[Step]:
    """The steps that `work` tells, of those that follow each other at once the last one."""
    told: SimpleQueue[Step] = SimpleQueue()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(work, told.put)
        while not (done.done() and told.empty()):
            try:
                step = told.get(timeout=_PERIOD_S)
            except Empty:
                continue
            while not told.empty():
                step = told.get()
            yield step
            if not done.done():
                time.sleep(_PERIOD_S)
        done.result()


def _bring(addition: Addition, tell: Tell) -> None:
    try:
        cards = _fetched(addition.cards, tell) if addition.state == "ready" else _checked(addition.wanted, tell)
        deploy(addition, cards)
        tell(Step("ready", cards=cards))
    except SetupError as error:
        tell(Step("failed", reason=". ".join(filter(None, (str(error), error.hint)))))


def _checked(wanted: Wanted, tell: Tell) -> Sequence[ModelCard]:
    """What is wanted, as cards that have shown that they work here."""
    from deployments.files.store import ModelStore, cache_folder  # noqa: PLC0415
    from deployments.onboarding import adding  # noqa: PLC0415  brings much
    from deployments.replica.settings import ReplicaSettings  # noqa: PLC0415

    records.validated(ReplicaSettings, wanted.deployment.user_config, "deployment.user_config")
    if wanted.entry:
        found: Sequence[ModelCard] = [wanted.entry]
    else:
        hub = str(wanted.hub)
        tell(Step("inspecting", hub))
        with adding.named(hub):
            found = adding.of_hub(hub, wanted.revision, wanted.name, wanted.family).cards
    tell(Step("downloading", cards=found))
    store = ModelStore(cache_folder())
    return adding.checked(
        found, store, lambda cards: _fetched(cards, tell), lambda card, line: tell(Step("checking", line or card.name))
    )


def _fetched(cards: Sequence[ModelCard], tell: Tell) -> Sequence[ModelCard]:
    from deployments.files.store import ModelStore, State, cache_folder  # noqa: PLC0415

    def report(model: str, phase: str, done: int, total: int | None) -> None:
        tell(Step("downloading", f"{model}: {phase}", done, total))

    store = ModelStore(cache_folder())
    for card in cards:
        if store.state(card) is State.READY:  # a cache that is complete may be for reading only
            store.verify(card, report)
        else:
            store.pull(card, report)
    return cards


def deploy(addition: Addition, cards: Sequence[ModelCard]) -> None:
    """Give models a Serve application of their own; returns before their replicas are there, if they get any."""
    from ray import serve  # noqa: PLC0415
    from ray.serve import RunTarget, run_many  # noqa: PLC0415

    models = [_deployment(card, addition.wanted.deployment) for card in cards]
    nothing: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": 0},
        "autoscaling_config": {"min_replicas": 0, "max_replicas": 1},
    }
    head = serve.deployment(name="_head", **nothing)(Head).bind(models)
    target = RunTarget(target=head, name=application(addition), route_prefix=None)
    run_many([target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False)


class Head:
    """What Ray Serve takes for the way into an application, and opens ports for: nobody calls it, so it never runs."""

    def __init__(self, models: object) -> None:
        """`models`: the deployments that belong to it."""


def _deployment(card: ModelCard, wanted: Deployed) -> Any:
    from ray import serve  # noqa: PLC0415

    from deployments.replica.fetching import FetchingReplica  # noqa: PLC0415  brings onnxruntime

    options = wanted.ray_actor_options.model_dump(exclude_unset=True)
    scaling = {
        **wanted.autoscaling_config.model_dump(),
        "policy": {"policy_function": _POLICY},
        "metrics_interval_s": 3,
        "look_back_period_s": 10,
        "upscale_delay_s": 5,
    }
    return serve.deployment(
        name=card.deployment,
        ray_actor_options={"num_cpus": wanted.ray_actor_options.num_cpus, **options},
        autoscaling_config=scaling,
        max_ongoing_requests=wanted.max_ongoing_requests,
        max_surge_percent=_SURGE,
        user_config=dict(wanted.user_config),
    )(FetchingReplica).bind(card)
