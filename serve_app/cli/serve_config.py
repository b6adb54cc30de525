"""A Serve config file as it is read, and what the command line says in its place."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.catalogue import yaml_files
from deployments.catalogue.catalogue import locate
from deployments.catalogue.records import validated
from deployments.catalogue.yaml_files import Origin
from deployments.errors import ConfigError
from serve_app.config import arguments
from serve_app.config.arguments import Arguments

_SHARE = 0.1
"""Cores that a model reserves if the file does not list it: it fits on a small machine, and uses all cores anyway."""


def read(path: Path) -> tuple[Any, Origin]:
    """A Serve config, or the one inside a RayService manifest, and where each of its keys stands.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    documents = yaml_files.read(path)
    for content, origin in documents:
        if isinstance(content, Mapping) and content.get("kind") == "RayService":
            return _inner(content, origin)
    if len(documents) != 1:
        raise ConfigError(f"{path}: expected a Serve config file or a RayService, found {len(documents)} documents")
    ((content, origin),) = documents
    return _anchored(content, path.resolve().parent), origin


def _inner(service: Mapping[str, Any], origin: Origin) -> tuple[Any, Origin]:
    """The config inside a RayService, which is a text there: its first line stands below its key."""
    keys = ("spec", "serveConfigV2")
    spec = service.get("spec")
    text = spec.get("serveConfigV2") if isinstance(spec, Mapping) else None
    if not isinstance(text, str):
        raise ConfigError(origin.tell("is missing: the Serve config, as a text", *keys))
    inner = Origin(origin.name, lines_before=origin.line(*keys))
    return next(yaml_files.parse(text, inner), (None, inner))


def _anchored(content: Any, folder: Path) -> Any:
    """The config with its catalogue as a whole path, if it lies beside the file and none of that name comes with us."""
    try:
        args = content["applications"][0]["args"]
        beside = folder / args["catalogue"]
    except (LookupError, TypeError):
        return content
    if beside.is_file() and not locate(args["catalogue"]).exists():
        args["catalogue"] = str(beside)
    return content


@dataclass(frozen=True)
class Overrides:
    """What the command line says in place of the file; None leaves it as it is there."""

    host: str | None = None
    port: int | None = None
    grpc_port: int | None = None
    catalogue: Path | None = None
    models: Sequence[str] | None = None

    def apply(self, content: Any) -> Any:
        """The config with these in place. The gRPC port follows the REST port if it is not given itself.

        Raises:
            ConfigError: the catalogue is wrong, or has no such model.
        """
        changed = copy.deepcopy(content)
        grpc_port = self.grpc_port or (self.port + 1 if self.port else None)
        _set(changed, "http_options", {"host": self.host, "port": self.port})
        _set(changed, "grpc_options", {"port": grpc_port})
        if self.catalogue or self.models:
            application = changed["applications"][0]
            catalogue = str(self.catalogue.expanduser().resolve()) if self.catalogue else None
            _set(application, "args", {"catalogue": catalogue, "models": list(self.models) if self.models else None})
            application["deployments"] = _fitting(application)
        return changed


AS_IN_THE_FILE = Overrides()


def _set(content: Any, key: str, values: Mapping[str, Any]) -> None:
    given = {name: value for name, value in values.items() if value is not None}
    if given:
        content[key] = {**(content.get(key) or {}), **given}


def _fitting(application: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The deployments of the file for the models that there are now: none too many, and small ones for the others."""
    cards = arguments.served(validated(Arguments, application["args"], "--catalogue, --models"), "--models").cards
    listed = list(application.get("deployments") or ())
    wanted = {
        "Ingress",
        *dict.fromkeys(card.deployment for card in cards),
        *(["ImageLoader"] if any(c.image_size for c in cards) else ()),
    }
    names = {one["name"] for one in listed}
    missing = dict.fromkeys(card.deployment for card in cards if card.deployment not in names)
    return [
        *(one for one in listed if one["name"] in wanted),
        *({"name": name, "ray_actor_options": {"num_cpus": _SHARE}} for name in missing),
    ]
