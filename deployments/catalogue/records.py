"""Frozen records, checked when they are read, and explained in one line when they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.errors import ConfigError

R = TypeVar("R", bound=BaseModel)


class Record(BaseModel):
    """A frozen record of a configuration, which refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Options(BaseModel):
    """The options of an inference object by name: none, in this class. A value has to be of its option's own type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def validated(model: type[R], content: Any, where: str) -> R:
    """A record made of what a configuration says.

    Raises:
        ConfigError: names `where` it was said, each wrong key, and what was expected there.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from error


def from_file(model: type[R], path: Path) -> R:
    """A record made of a YAML file.

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return validated(model, content, str(path))


def explain(error: ValidationError) -> str:
    """A validation error in one line: each wrong key with what was expected of it."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'top level'}: {item['msg']}" for item in error.errors()
    )
