"""The arguments of the application: `args` in a Serve config file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard, RoutedCard, route
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.providers import Endpoint, Prefix
from deployments.catalogue.records import Record, validated
from deployments.errors import ConfigError, UnknownModel


class ProviderArguments(Record):
    """Which external providers may be called, and with whose keys.

    `routes` serve all models of a provider, under names that begin as the route is called; `hosts` are those of
    providers in the catalogue, with their ports, that may be called beside those of the routes. `operator_keys_for`:
    the tenants who may use the operator's keys (`key_env`), or `*` for everybody.
    """

    routes: Mapping[Prefix, Endpoint | None] = {}
    hosts: tuple[str, ...] = ()
    operator_keys_for: tuple[str, ...] = ()


class Arguments(Record):
    """Which models to serve: of a catalogue (a relative path starts where `configs/` lies), all or those named."""

    catalogue: str = "configs/models/starter.yaml"
    models: tuple[str, ...] | None = None
    providers: ProviderArguments | None = None


def read(arguments: Mapping[str, Any]) -> Arguments:
    """The arguments, validated.

    Raises:
        ConfigError: names the key and what was expected.
    """
    return validated(Arguments, dict(arguments), "args of the application")


def served(arguments: Arguments, where: str = "models") -> Catalogue:
    """The models that the application serves, and the routes to external providers; `where` it says which, for errors.

    Raises:
        ConfigError: as `cards`, or a model leads to a host that the arguments do not allow.
    """
    chosen = cards(arguments, where)
    allowed = provider_hosts(arguments)
    for card in chosen:
        if card.provider and card.provider.host not in allowed:
            raise ConfigError(
                f"{card.name}: its provider at {card.provider.host} may not be called; name it in args.providers.hosts"
            )
    read = catalogue.load(arguments.catalogue)
    return Catalogue(tuple(chosen), read.path, read.not_yet).and_routes(_routes(arguments))


def provider_hosts(arguments: Arguments) -> frozenset[str]:
    """All hosts of external providers that may be called."""
    named = arguments.providers.hosts if arguments.providers else ()
    return frozenset(named).union(card.provider.host for card in _routes(arguments) if card.provider)


def _routes(arguments: Arguments) -> list[RoutedCard]:
    routes = arguments.providers.routes if arguments.providers else {}
    return [route(prefix, endpoint or Endpoint()) for prefix, endpoint in routes.items()]


def cards(arguments: Arguments, where: str = "models") -> Sequence[ModelCard]:
    """The models of the catalogue that are chosen; `where` it says which, for errors.

    Raises:
        ConfigError: the catalogue is wrong, or has no model of a name that is asked for.
    """
    models = catalogue.load(arguments.catalogue)
    if arguments.models is None:
        return models.cards
    try:
        networks = dict.fromkeys(models.find(name, where).network for name in arguments.models)
        return [models.find(name, where) for name in networks]
    except UnknownModel as error:
        raise ConfigError(error.message) from error
