"""Checks the options of an inference object. The gateway does, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import explain
from deployments.errors import BadOption


def check_options(card: ModelCard, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A model's own options as plain values, without those that are null.

    Raises:
        BadOption: names `where` in the request, the option, and what is allowed.
    """
    known = card.spec.options
    unknown = [name for name in options if name not in known.model_fields]
    if unknown:
        allowed = ", ".join(known.model_fields) or "none"
        raise BadOption(f"{where}: '{card.name}' has no option '{unknown[0][:100]}'; its options: {allowed}")
    try:
        return known.model_validate(dict(options)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise BadOption(f"{where}: {explain(error)}") from error
