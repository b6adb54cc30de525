"""Checks the options of an inference object. The gateway does, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import explain
from deployments.errors import BadOption
from deployments.weighed_cache import WeighedCache

_BYTES = 16 * 1024
_KEPT_BYTES = 1024 * 1024
_OVERHEAD = 1000
"""Bytes of options that were checked, beside what they are as JSON."""


class Checked(NamedTuple):
    """A model's own options as plain values, without those that are null. They are shared: nobody changes them.

    `key` is the same for equal ones. `longest_text` is how many characters a text may have; None if they set no limit.
    """

    options: Mapping[str, Any]
    key: bytes
    longest_text: int | None


_checked: WeighedCache[tuple[str, bytes], Checked] = WeighedCache(_KEPT_BYTES)


def checked(card: ModelCard, options: Mapping[str, Any], where: str) -> Checked:
    """Options that were checked; for a model of the same family with equal ones they are checked once.

    Raises:
        BadOption: names `where` in the request, the option, and what is allowed.
    """
    if card.provider:
        return _check(card, options, where)
    key = as_key(options, where)
    return _checked.get((card.family, key), lambda: _check(card, options, where), _OVERHEAD + 4 * len(key))


def _check(card: ModelCard, options: Mapping[str, Any], where: str) -> Checked:
    values = check_options(card, options, where)
    return Checked(values, as_key(values, where), longest_text(card, values))


def check_options(card: ModelCard, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A model's own options as plain values, without those that are null.

    Raises:
        BadOption: names `where` in the request, the option, and what is allowed.
    """
    if card.provider:
        return _passed_on(card, options, where)
    known = card.spec.options
    unknown = next((name for name in options if name not in known.model_fields), None)
    if unknown is not None and known.model_config.get("extra") == "forbid":
        allowed = ", ".join(known.model_fields) or "none"
        raise BadOption(f"{where}: '{card.name}' has no option '{unknown[:100]}'; its options: {allowed}")
    try:
        return known.model_validate(dict(options)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise BadOption(f"{where}: {explain(error, known)}") from error


def _passed_on(card: ModelCard, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What goes to a provider under its own names; it knows them, so that it has to say what is wrong with them."""
    reserved = card.provider.spec.reserved if card.provider else frozenset()
    for name in options:
        if name in reserved:
            raise BadOption(f"{where}.options: '{name}' is set here, not by callers")
    return {name: value for name, value in options.items() if value is not None}


def longest_text(card: ModelCard, options: Mapping[str, Any]) -> int | None:
    """How many characters a text may have with these options, which were checked; None if they set no limit."""
    return None if card.provider else card.spec.options.model_validate(dict(options)).text_characters


def as_key(options: Mapping[str, Any], where: object) -> bytes:
    """Options as JSON, the same for equal ones. `where` they stand is put into words if an error has to name it.

    Raises:
        BadOption: they are larger than any model has use for, or nested too deep.
    """
    if not options:
        return b""
    if _has_more(options, _BYTES):
        raise _too_large(where)
    try:
        key = orjson.dumps(options, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise BadOption(f"{where}.options: {error}") from error
    if len(key) > _BYTES:
        raise _too_large(where)
    return key


def _too_large(where: object) -> BadOption:
    return BadOption(f"{where}.options: have more than {_BYTES} bytes as JSON, which no model has use for")


def _has_more(options: Mapping[str, Any], most: int) -> bool:
    """Whether there are more names and values than that, or a text of more characters; then no more are looked at."""
    left = most
    containers: list[Any] = [options]
    while containers:
        inner = containers.pop()
        left -= len(inner)
        if left < 0:
            return True
        for one in chain(inner, inner.values()) if isinstance(inner, Mapping) else inner:
            if isinstance(one, (dict, list)):
                containers.append(one)
            elif isinstance(one, str) and len(one) > most:
                return True
    return False
