"""The app builder: from the arguments of a Serve config file to a Serve application.

A Serve config file names it: `import_path: serve_app.app:build`. One deployment per model, named after it
(`/` becomes `--`); beside them `Ingress`, `ImageLoader`, `Providers` for all external ones and, without QDRANT_URL,
`Store`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ray import serve
from ray.serve import Application

from deployments.catalogue.card import PROVIDERS_DEPLOYMENT, ModelCard
from deployments.errors import ConfigError
from deployments.files.store import ModelStore, cache_folder
from deployments.images.loader import ImageLoader
from deployments.providers.providers import ProvidersReplica
from deployments.replica.served import ServedReplica
from serve_app.config import arguments as args
from serve_app.config import environment
from serve_app.config.ray_environment import SUPPORTED
from serve_app.config.resources import STORE
from serve_app.embedded.deployment import Store
from serve_app.ingress import Ingress

_SURGE = 25
"""Percent by which a deployment may have more replicas while a config update replaces them (rounded up): old ones stop
when new ones serve. Where a cluster has no room for one more, a Serve config file says 0 for that deployment."""


def build(arguments: dict[str, object]) -> Application:
    """Build the application.

    Raises:
        SetupError: names what is wrong, or which files are missing and how to get them.
    """
    _check_environment()
    chosen = args.read(arguments)
    cards = args.served(chosen).cards
    settings = environment.read()
    return serve.deployment(max_ongoing_requests=1000, user_config={}, max_surge_percent=_SURGE)(Ingress).bind(
        chosen,
        {card.name: _model(card) for card in cards if card.provider is None and card.network == card.name},
        _image_loader(cards),
        None if settings.qdrant_url else _store(settings.data),
        _providers(args.provider_hosts(chosen)) if any(card.provider for card in cards) else None,
    )


def _check_environment() -> None:
    missing = [f"{name}={value}" for name, value in SUPPORTED.items() if os.environ.get(name) != value]
    if missing:
        raise ConfigError(
            f"set {' and '.join(missing)} in the environment of every Ray node and of the process that starts Serve, "
            "or start with 'qdrant-inference up', which does so"
        )


def _model(card: ModelCard) -> Application:
    folder = ModelStore(cache_folder()).folder(card)
    deployment = serve.deployment(
        name=card.deployment, max_ongoing_requests=16, user_config={}, max_surge_percent=_SURGE
    )(ServedReplica)
    return deployment.bind(card, str(folder) if folder else None)


def _image_loader(cards: Sequence[ModelCard]) -> Application | None:
    if not any(card.image_size for card in cards):
        return None
    return serve.deployment(max_ongoing_requests=16, user_config={}, max_surge_percent=_SURGE)(ImageLoader).bind()


def _providers(hosts: frozenset[str]) -> Application:
    deployment = serve.deployment(
        name=PROVIDERS_DEPLOYMENT, max_ongoing_requests=1000, user_config={}, max_surge_percent=_SURGE
    )(ProvidersReplica)
    return deployment.bind(sorted(hosts))


def _store(folder: Path) -> Application:
    options = {"num_cpus": STORE.replica.cpus}
    return serve.deployment(max_ongoing_requests=1000, ray_actor_options=options)(Store).bind(str(folder))
