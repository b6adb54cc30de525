"""Validates a Serve config file without a cluster: Ray's schema, our arguments, every deployment's settings.

Ray ignores keys that it does not know, so that a misspelled one would pass for years; here each of them is an error.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from deployments.catalogue.card import ModelCard
from deployments.catalogue.faults import Keys, models_in, unknown
from deployments.catalogue.records import Record, validated
from deployments.catalogue.yaml_files import Origin
from deployments.errors import ConfigError
from deployments.providers.settings import ProvidersSettings
from deployments.replica.settings import ReplicaSettings
from serve_app.cli.serve_config import read
from serve_app.config import arguments
from serve_app.config.arguments import Arguments
from serve_app.config.resources import Demand, Resources
from serve_app.config.settings import IngressSettings

_BUILDER = "serve_app.app:build"


def check(path: Path) -> list[Demand]:
    """Validate a Serve config file, or the one inside a RayService manifest; say what its deployments ask for.

    Raises:
        ConfigError: one fault a line: the file, the line, the key, and what was expected there.
    """
    return check_content(*read(path))


def check_content(content: Any, origin: Origin) -> list[Demand]:
    """The same for a config that was read already; `origin` says from where.

    Raises:
        ConfigError: as above.
    """
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415  takes seconds to import

    _refuse_unknown_keys(ServeDeploySchema, content, origin)
    try:
        config = validated(ServeDeploySchema, content, origin)
    except (AttributeError, ImportError) as error:  # Ray imports policies as it reads them
        raise ConfigError(origin.tell(f"autoscaling_config.policy.policy_function: {error}", "applications")) from error
    if len(config.applications) != 1:
        raise ConfigError(origin.tell(f"expected one, found {len(config.applications)}", "applications"))
    _check_servicer_functions(
        config.grpc_options.grpc_servicer_functions, origin.at("grpc_options", "grpc_servicer_functions")
    )
    return _application(content["applications"][0], origin.at("applications", 0))


def _application(application: Mapping[str, Any], origin: Origin) -> list[Demand]:
    if application["import_path"] != _BUILDER:
        raise ConfigError(origin.tell(f"expected {_BUILDER}", "import_path"))
    args = origin.at("args")
    cards = arguments.served(validated(Arguments, application.get("args", {}), args), args.tell("", "models")).cards
    known = _settings(cards)
    listed: dict[str, Mapping[str, Any]] = {}
    faults: list[str] = []
    for number, deployment in enumerate(application.get("deployments", [])):
        place, name = origin.at("deployments", number), deployment["name"]
        if name not in known:
            faults.append(place.tell(f"no deployment '{name}'; these args give {', '.join(known)}", "name"))
        elif name in listed:
            faults.append(place.tell(f"'{name}' is listed twice", "name"))
        else:
            faults += _faults_of(known[name], deployment.get("user_config") or {}, place.at("user_config"))
        listed[name] = deployment
    if faults:
        raise ConfigError("\n".join(faults))
    return [_demand(name, listed.get(name, {}), origin.name) for name in known]


def _faults_of(model: type[Record], content: Any, origin: Origin) -> list[str]:
    try:
        validated(model, content, origin)
    except ConfigError as error:
        return [str(error)]
    return []


def _settings(cards: Sequence[ModelCard]) -> dict[str, type[Record]]:
    """The class of each deployment's `user_config`, by the deployment's name."""
    from deployments.images.loader import LoaderSettings  # noqa: PLC0415  takes long to import

    loader = {"ImageLoader": LoaderSettings} if any(card.image_size for card in cards) else {}
    models: dict[str, type[Record]] = {
        card.deployment: ProvidersSettings if card.provider else ReplicaSettings for card in cards
    }
    return {"Ingress": IngressSettings, **loader, **models}


def _demand(name: str, deployment: Mapping[str, Any], where: str) -> Demand:
    """Of a deployment as the file has it; what it does not say is Ray Serve's default."""
    from ray.serve.config import AutoscalingConfig  # noqa: PLC0415

    options = deployment.get("ray_actor_options") or {}
    least = most = deployment.get("num_replicas") or 1
    scaling = deployment.get("autoscaling_config")
    if least == "auto":
        default = AutoscalingConfig.default()  # type: ignore[no-untyped-call]
        scaling = {**default.model_dump(exclude_unset=True), **(scaling or {})}
    if scaling is not None:
        limits = validated(AutoscalingConfig, scaling, f"{where}: autoscaling_config of {name}")
        least, most = limits.min_replicas, limits.max_replicas
    replica = Resources(
        cpus=1.0 if options.get("num_cpus") is None else options["num_cpus"],
        gpus=options.get("num_gpus") or 0.0,
        memory=options.get("memory") or 0.0,
        custom=options.get("resources") or {},
    )
    return Demand(name, least, most, replica)


def _check_servicer_functions(paths: list[str], origin: Origin) -> None:
    for number, path in enumerate(paths):
        module, _, name = path.rpartition(".")
        try:
            found = callable(getattr(importlib.import_module(module), name, None))
        except (ImportError, ValueError):
            found = False
        if not found:
            raise ConfigError(origin.tell(f"no function '{path}'", number))


def _refuse_unknown_keys(model: type[BaseModel], content: Any, origin: Origin) -> None:
    found = [origin.tell(unknown(str(keys[-1]), known), *keys) for keys, known in _unknown_keys(model, content)]
    if found:
        raise ConfigError("\n".join(found))


def _unknown_keys(model: type[BaseModel], content: Any) -> Iterator[tuple[Keys, Iterable[str]]]:
    """The paths of keys that a model, or one of the models in its fields, does not have; each with those it has."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        field = model.model_fields.get(key)
        inner = next(models_in(field.annotation), None) if field else None
        if field is None:
            yield (str(key),), model.model_fields
        elif inner and isinstance(value, list):
            for number, item in enumerate(value):
                yield from (((key, number, *path), known) for path, known in _unknown_keys(inner, item))
        elif inner:
            yield from (((key, *path), known) for path, known in _unknown_keys(inner, value))
