"""Which models are there, by what Ray Serve's controller says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from serve_app.cluster.cached import Cached
from serve_app.cluster.served import Place

if TYPE_CHECKING:
    from ray.serve.schema import DeploymentStatusOverview

_KEPT_S = 1.5
"""To ask costs the controller some 50 ms."""

_PATIENCE_S = 1.0
"""A controller that is busy or away answers late or never."""

State = Literal["ready", "loading", "scaled to zero", "failed", "unreachable", "unknown"]


@dataclass(frozen=True)
class ModelState:
    """A model's deployment: its state in a word, why it failed, and how many replicas it has."""

    state: State
    reason: str | None = None
    running: int = 0
    starting: int = 0


class ModelStates:
    """The state of each model's deployment; none of those that are not known yet."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        """`places`: where each model's deployment is; they may change."""
        self._places = places
        self._states = Cached[Mapping[str, ModelState]](self._ask, {}, _KEPT_S, _PATIENCE_S)

    async def __call__(self) -> Mapping[str, str]:
        """The states in a word each, as old as `read` has them."""
        return {model: state.state for model, state in (await self.read()).items()}

    async def read(self) -> Mapping[str, ModelState]:
        """The states, which are up to two seconds old; those known last if the controller does not answer."""
        return await self._states.read()

    async def _ask(self) -> Mapping[str, ModelState]:
        return await asyncio.to_thread(self._read)

    def _read(self) -> Mapping[str, ModelState]:
        from ray import serve  # noqa: PLC0415  only an ingress replica asks, and it has imported Ray already

        own = serve.get_replica_context().app_name
        applications = {name: one.deployments for name, one in serve.status().applications.items()}
        return states(self._places, applications, own)


def states(
    places: Mapping[str, Place], applications: Mapping[str, Mapping[str, DeploymentStatusOverview]], own: str
) -> Mapping[str, ModelState]:
    """The states of models that are there; `own` is the application of those whose place names none."""
    found = {model: applications.get(app or own, {}).get(name) for model, (app, name) in list(places.items())}
    return {model: state(deployment) for model, deployment in found.items() if deployment}


def state(deployment: DeploymentStatusOverview) -> ModelState:
    """The state of a deployment."""
    counts = {getattr(name, "value", name): count for name, count in deployment.replica_states.items()}
    running, starting = counts.get("RUNNING", 0), counts.get("STARTING", 0)
    if deployment.status.value in {"UNHEALTHY", "DEPLOY_FAILED"}:
        return ModelState("failed", _reason(deployment.message), running, starting)
    if running:
        return ModelState("ready", None, running, starting)
    return ModelState("scaled to zero" if deployment.status.value == "HEALTHY" else "loading", None, 0, starting)


def _reason(message: str) -> str:
    """Of a traceback only our own error, if it has one; else its last line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ours = [line.partition(": ")[2] for line in lines if line.startswith("deployments.errors.")]
    return (ours or lines or ["no reason given"])[-1]
