"""Adds models to a catalogue file as text, so that its comments and its order stay."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError, UnknownModel, reason

_HEAD = """\
# Models of our own, beside those of the catalogue that is included.
# What each key means stands in configs/models/README.md.
include: [{included}]
models:
"""


def as_yaml(cards: Sequence[ModelCard]) -> str:
    """The models as they stand under `models:` in a catalogue; what has its default value is left out."""
    plain = [card.model_dump(mode="json", exclude_defaults=True) for card in cards]
    return "\n".join(yaml.safe_dump([item], sort_keys=False, allow_unicode=True, width=120) for item in plain)


def expect_new(cards: Sequence[ModelCard], path: Path) -> None:
    """Make sure that a catalogue, if there is one, has no models with these names.

    Raises:
        ConfigError: it has, or it is wrong.
    """
    if not path.exists():
        return
    there = catalogue.load(path)
    for card in cards:
        try:
            there.find(card.name, "")
        except UnknownModel:
            continue
        raise ConfigError(f"{path}: there is a model '{card.name}' already; choose another --name, or delete it there")


def append(cards: Sequence[ModelCard], path: Path, included: Path) -> None:
    """Append models to a catalogue file; a new one includes another catalogue.

    Raises:
        ConfigError: the file cannot be written, or does not end with its list of models.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else _head(path, included)
        after = _with_entries(before, cards)
        if _models(after) != [*_models(before), *_models(f"models:\n{as_yaml(cards)}")]:
            raise ConfigError(f"{path}: the file does not end with its list of models; add the entry by hand")
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(after, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {reason(error)}") from error
    catalogue.load.cache_clear()


def _head(path: Path, included: Path) -> str:
    """A catalogue of the project is included by its name there: another version may lie elsewhere."""
    shipped = included.is_relative_to(HOME) and not path.is_relative_to(HOME)
    return _HEAD.format(included=included.relative_to(HOME) if shipped else os.path.relpath(included, path.parent))


def _with_entries(text: str, cards: Sequence[ModelCard]) -> str:
    """The text with the entries after it, as far to the right as those that are there."""
    indents = re.findall(r"^( *)- name:", text, re.MULTILINE)
    entries = textwrap.indent(as_yaml(cards), indents[-1] if indents else "  ")
    between = "\n\n" if indents else "\n"
    return text.rstrip() + between + entries


def _models(text: str) -> list[Any]:
    """What a catalogue lists; nothing if it is no YAML."""
    try:
        return list((yaml.safe_load(text) or {}).get("models") or ())
    except yaml.YAMLError:
        return []
