"""Frozen records, checked when they are read, and explained when they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.catalogue import yaml_files
from deployments.catalogue.faults import faults
from deployments.catalogue.yaml_files import Origin
from deployments.errors import ConfigError, InferenceError

R = TypeVar("R", bound=BaseModel)


class Record(BaseModel):
    """A frozen record of a configuration, which refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Options(BaseModel):
    """The options of an inference object by name: none, in this class. A value has to be of its option's own type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @property
    def text_characters(self) -> int | None:
        """How long a text may be with these options; None if they cost no more than others."""
        return None


def validated(model: type[R], content: Any, where: str | Origin) -> R:
    """A record made of what a configuration says.

    Raises:
        ConfigError: one fault a line: where it stands, the key, and what was expected there.
    """
    origin = Origin(where) if isinstance(where, str) else where
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = [origin.tell(fault, *keys) for keys, fault in faults(error, model, _TOLD)]
        left = [origin.tell(f"and {error.error_count() - _TOLD} more")] if error.error_count() > _TOLD else []
        raise ConfigError("\n".join([*found, *left])) from error


def untrusted(model: type[R], content: Any, refused: type[InferenceError]) -> R:
    """A record made of what a caller sent.

    Objects have 1,000 keys at most. The cost is bounded if all lists of `model` are: by `max_length`, which counts
    before it looks, and by `fail_fast`.

    Raises:
        InferenceError: of the type `refused`; says what was expected where, and does not repeat what was sent.
    """
    for value in (content, *(content.values() if isinstance(content, dict) and len(content) <= _KEYS else ())):
        if isinstance(value, dict) and len(value) > _KEYS:
            raise refused(f"an object has {len(value)} keys; at most {_KEYS} are looked at")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise refused(explain(error, model)) from None


def from_file(model: type[R], path: Path) -> R:
    """A record made of a YAML file.

    Raises:
        ConfigError: names the file, the line, the key, and what was expected there.
    """
    documents = yaml_files.read(path)
    if len(documents) != 1:
        raise ConfigError(f"{path}: expected one document, found {len(documents) or 'an empty file'}")
    return validated(model, *documents[0])


_KEYS = 1000
_EXPLAINED = 1000
_ERRORS = 5
_TOLD = 20
_CHARACTERS = 2000


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """A validation error in one line: the first wrong keys with what was expected of them, 2,000 characters at most."""
    if error.error_count() > _EXPLAINED:  # all of them would be spelled out before we could take the first
        return f"{error.error_count()} values are not as expected"
    shown = [f"{_place(keys)}: {fault}" for keys, fault in faults(error, model, _ERRORS)]
    more = [f"and {error.error_count() - _ERRORS} more"] if error.error_count() > _ERRORS else []
    return "; ".join([*shown, *more])[:_CHARACTERS]


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:100] for part in loc[:10]) or "top level"
