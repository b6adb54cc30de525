"""Which models are there, by what Ray Serve's controller says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serve_app.cluster.cached import Cached
from serve_app.cluster.served import Place

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
        # Only an ingress replica asks, and it has imported Ray already.
        from ray import serve  # noqa: PLC0415
        from ray.serve.context import _get_global_client  # noqa: PLC0415

        # `serve.status()` tells the same, but makes models of all of it and pickles classes for that, in this process.
        client: Any = _get_global_client()
        details = client.get_serve_details()
        return states(self._places, details["applications"], serve.get_replica_context().app_name)


def states(places: Mapping[str, Place], applications: Mapping[str, Any], own: str) -> Mapping[str, ModelState]:
    """The states of models that are there; `own` is the application of those whose place names none.

    `applications` are those of Ray Serve's details, as its REST API has them.
    """
    found: dict[str, ModelState] = {}
    for model, (application, name) in list(places.items()):
        deployment = applications.get(application or own, {}).get("deployments", {}).get(name)
        if deployment:
            found[model] = state(deployment)
    return found


def state(deployment: Mapping[str, Any]) -> ModelState:
    """The state of a deployment."""
    status = _word(deployment["status"])
    counts = Counter(_word(replica["state"]) for replica in deployment.get("replicas", ()))
    running, starting = counts["RUNNING"], counts["STARTING"]
    if status in {"UNHEALTHY", "DEPLOY_FAILED"}:
        return ModelState("failed", _reason(deployment.get("message", "")), running, starting)
    if running:
        return ModelState("ready", None, running, starting)
    return ModelState("scaled to zero" if status == "HEALTHY" else "loading", None, 0, starting)


def _word(value: Any) -> str:
    """What may be a word or a member of an enumeration, depending on whether Ray made JSON of it."""
    return str(getattr(value, "value", value))


def _reason(message: str) -> str:
    """Of a traceback only our own error, if it has one; else its last line."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ours = [line.partition(": ")[2] for line in lines if line.startswith("deployments.errors.")]
    return (ours or lines or ["no reason given"])[-1]
