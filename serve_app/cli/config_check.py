"""Validates a Serve config file without a cluster: Ray's schema, our arguments, every deployment's settings.

Ray ignores keys that it does not know, so that a misspelled one would pass for years; here each of them is an error.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import Record, validated
from deployments.errors import ConfigError
from deployments.replica.settings import ReplicaSettings
from serve_app.config import arguments
from serve_app.config.arguments import Arguments
from serve_app.config.resources import Demand, Resources
from serve_app.config.settings import IngressSettings

_BUILDER = "serve_app.app:build"


def check(path: Path) -> list[Demand]:
    """Validate a Serve config file, or the one inside a RayService manifest; say what its deployments ask for.

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415  takes seconds to import

    content, where = _read(path)
    _refuse_unknown_keys(ServeDeploySchema, content, where)
    try:
        config = validated(ServeDeploySchema, content, where)
    except (AttributeError, ImportError) as error:  # Ray imports policies as it reads them
        raise ConfigError(f"{where}: autoscaling_config.policy.policy_function: {error}") from error
    if len(config.applications) != 1:
        raise ConfigError(f"{where}: applications: expected one, found {len(config.applications)}")
    _check_servicer_functions(config.grpc_options.grpc_servicer_functions, where)
    return _application(content["applications"][0], f"{where}: applications.0")


def _read(path: Path) -> tuple[Any, str]:
    """The config, and what to call its place in errors."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        for document in documents:
            if isinstance(document, Mapping) and document.get("kind") == "RayService":
                text = document.get("spec", {}).get("serveConfigV2", "")
                return yaml.safe_load(text), f"{path}: spec.serveConfigV2"
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(documents) != 1:
        raise ConfigError(f"{path}: expected a Serve config file or a RayService, found {len(documents)} documents")
    return documents[0], str(path)


def _application(application: Mapping[str, Any], where: str) -> list[Demand]:
    if application["import_path"] != _BUILDER:
        raise ConfigError(f"{where}.import_path: expected {_BUILDER}")
    cards = arguments.cards(validated(Arguments, application.get("args", {}), f"{where}.args"))
    known = _settings(cards)
    listed: dict[str, Mapping[str, Any]] = {}
    for number, deployment in enumerate(application.get("deployments", [])):
        place, name = f"{where}.deployments.{number}", deployment["name"]
        if name not in known:
            raise ConfigError(f"{place}.name: no deployment '{name}'; these args give {', '.join(known)}")
        if name in listed:
            raise ConfigError(f"{place}.name: '{name}' is listed twice")
        validated(known[name], deployment.get("user_config") or {}, f"{place}.user_config ({name})")
        listed[name] = deployment
    return [_demand(name, listed.get(name, {}), where) for name in known]


def _settings(cards: Sequence[ModelCard]) -> dict[str, type[Record]]:
    """The class of each deployment's `user_config`, by the deployment's name."""
    from deployments.images.loader import LoaderSettings  # noqa: PLC0415  takes long to import

    loader = {"ImageLoader": LoaderSettings} if any(card.image_size for card in cards) else {}
    models: dict[str, type[Record]] = {card.deployment: ReplicaSettings for card in cards}
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


def _check_servicer_functions(paths: list[str], where: str) -> None:
    for number, path in enumerate(paths):
        module, _, name = path.rpartition(".")
        try:
            found = callable(getattr(importlib.import_module(module), name, None))
        except (ImportError, ValueError):
            found = False
        if not found:
            raise ConfigError(f"{where}: grpc_options.grpc_servicer_functions.{number}: no function '{path}'")


def _refuse_unknown_keys(model: type[BaseModel], content: Any, where: str) -> None:
    unknown = [
        f"{'.'.join(path)}: unknown to Ray Serve{_instead(path[-1], known)}"
        for path, known in _unknown_keys(model, content)
    ]
    if unknown:
        raise ConfigError(f"{where}: {'; '.join(unknown)}")


def _instead(key: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(key, known, 1)
    return f" (did you mean '{nearest[0]}'?)" if nearest else ""


def _unknown_keys(model: type[BaseModel], content: Any) -> Iterator[tuple[tuple[str, ...], Iterable[str]]]:
    """The paths of keys that a model, or one of the models in its fields, does not have; each with those it has."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        field = model.model_fields.get(key)
        inner = next(_models_in(field.annotation), None) if field else None
        if field is None:
            yield (str(key),), model.model_fields
        elif inner and isinstance(value, list):
            for number, item in enumerate(value):
                yield from (((key, str(number), *path), known) for path, known in _unknown_keys(inner, item))
        elif inner:
            yield from (((key, *path), known) for path, known in _unknown_keys(inner, value))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The pydantic models in a type, such as the one in `Optional[list[Model]]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
