"""The Serve applications of added models, of which each has one of its own: so no other model is touched."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray import serve
from ray.serve.context import _get_global_client

from deployments.catalogue.card import ModelCard
from deployments.contract import Model
from serve_app.cluster.handles import ReplicatedModel
from serve_app.cluster.near import Machine
from serve_app.cluster.served import PREFIX, Place


def connect(machine: Machine, card: ModelCard, place: Place) -> Model:
    """The way to a model; its deployment may be there already or come yet. `machine` is the caller's."""
    handle = serve.get_deployment_handle(place.deployment, place.application, _check_exists=False)
    return ReplicatedModel(card.name, handle, machine.near(handle.app_name, handle.deployment_name))


def present() -> Collection[str]:
    """The applications of added models that Ray Serve has, whatever their state."""
    client: Any = _get_global_client()
    return {status.name for status in client.list_serve_statuses() if status.name.startswith(PREFIX)}


def remove(name: str) -> None:
    """End an application; its replicas finish what they have."""
    serve.delete(name, _blocking=False)
