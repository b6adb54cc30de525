"""The arguments of the application: `args` in a Serve config file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import Record, validated
from deployments.errors import ConfigError, UnknownModel


class Arguments(Record):
    """Which models to serve: of a catalogue (a relative path starts where `configs/` lies), all or those named."""

    catalogue: str = "configs/models/starter.yaml"
    models: tuple[str, ...] | None = None


def read(arguments: Mapping[str, Any]) -> Arguments:
    """The arguments, validated.

    Raises:
        ConfigError: names the key and what was expected.
    """
    return validated(Arguments, dict(arguments), "args of the application")


def cards(arguments: Arguments, where: str = "models") -> Sequence[ModelCard]:
    """The models that the application serves; `where` it says which, for errors.

    Raises:
        ConfigError: the catalogue is wrong, or has no model of a name that is asked for.
    """
    models = catalogue.load(arguments.catalogue)
    if arguments.models is None:
        return models.cards
    try:
        return [models.find(name, where) for name in arguments.models]
    except UnknownModel as error:
        raise ConfigError(error.message) from error
