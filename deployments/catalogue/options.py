"""Checks the options of an inference object. The gateway does, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import explain
from deployments.errors import BadOption

_BYTES = 16 * 1024


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


def as_key(options: Mapping[str, Any], where: str) -> bytes:
    """Options as JSON, the same for equal ones.

    Raises:
        BadOption: they are larger than any model has use for, or nested too deep.
    """
    if not options:
        return b""
    try:
        key = orjson.dumps(options, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise BadOption(f"{where}.options: {error}") from error
    if len(key) > _BYTES:
        raise BadOption(f"{where}.options: have {len(key)} bytes as JSON; at most {_BYTES} are allowed")
    return key
