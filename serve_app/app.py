"""The app builder: from the arguments of a Serve config file to a Serve application.

A Serve config file names it: `import_path: serve_app.app:build`. One deployment per model, named after it
(`/` becomes `--`); beside them `Ingress`, `ImageLoader`, `Providers` for all external ones and, without QDRANT_URL,
`Store`.

Their classes are named and not imported: each replica imports its own, and a start waits for the builder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application, Deployment

from deployments.catalogue.card import PROVIDERS_DEPLOYMENT, ModelCard
from deployments.errors import ConfigError
from deployments.files.store import ModelStore, cache_folder
from serve_app.config import arguments as args
from serve_app.config import environment, resources
from serve_app.config.ray_environment import MESSAGES, SUPPORTED

INGRESS = "serve_app.ingress.Ingress"
IMAGE_LOADER = "deployments.images.loader.ImageLoader"
MODEL = "deployments.replica.served.ServedReplica"
PROVIDERS = "deployments.providers.providers.ProvidersReplica"
STORE = "serve_app.embedded.deployment.Store"

_GRADUAL: Mapping[str, Any] = {"user_config": {}, "max_surge_percent": 25}
"""Settings change in place. While a config update replaces replicas there may be more, by so many percent (rounded up):
old ones stop when new ones serve. If a cluster has no room for one more, a Serve config file says 0 for it."""


def build(arguments: dict[str, object]) -> Application:
    """Build the application.

    Raises:
        SetupError: names what is wrong, or which files are missing and how to get them.
    """
    _check_environment()
    chosen = args.read(arguments)
    cards = args.served(chosen).cards
    settings = environment.read()
    return _deployment("Ingress", INGRESS, 1000, **_GRADUAL).bind(
        chosen,
        {card.name: _model(card) for card in cards if card.provider is None and card.network == card.name},
        _image_loader(cards),
        None if settings.qdrant_url else _store(settings.data),
        _providers(args.provider_hosts(chosen)) if any(card.provider for card in cards) else None,
    )


def _check_environment() -> None:
    missing = [f"{name}={value}" for name, value in SUPPORTED.items() if os.environ.get(name) != value]
    missing += [f"{name}={value}" for name, value in MESSAGES.items() if name not in os.environ]
    if missing:
        raise ConfigError(
            f"set {' and '.join(missing)} in the environment of every Ray node and of the process that starts Serve, "
            "or start with 'qdrant-inference up', which does so"
        )


def _deployment(name: str, path: str, requests: int, **options: Any) -> Deployment:
    """A deployment of the class at `path`, each replica of which works on so many requests at a time."""
    decorated: Any = serve.deployment(name=name, max_ongoing_requests=requests, **options)
    deployment: Deployment = decorated(path)
    return deployment


def _model(card: ModelCard) -> Application:
    folder = ModelStore(cache_folder()).folder(card)
    return _deployment(card.deployment, MODEL, 16, **_GRADUAL).bind(card, str(folder) if folder else None)


def _image_loader(cards: Sequence[ModelCard]) -> Application | None:
    if not any(card.image_size for card in cards):
        return None
    return _deployment("ImageLoader", IMAGE_LOADER, 16, **_GRADUAL).bind()


def _providers(hosts: frozenset[str]) -> Application:
    return _deployment(PROVIDERS_DEPLOYMENT, PROVIDERS, 1000, **_GRADUAL).bind(sorted(hosts))


def _store(folder: Path) -> Application:
    options = {"num_cpus": resources.STORE.replica.cpus}
    return _deployment("Store", STORE, 1000, ray_actor_options=options).bind(str(folder))
