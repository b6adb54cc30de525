"""YAML files that know the line of each of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from deployments.catalogue.faults import Keys
from deployments.errors import ConfigError, reason


@dataclass(frozen=True)
class Origin:
    """Where a part of a configuration stands.

    `name` is the file, or whatever else was read; `keys` lead to the part; `node` is the whole as YAML has read it,
    `lines_before` what stands before it in the file.
    """

    name: str
    keys: Keys = ()
    node: yaml.Node | None = None
    lines_before: int = 0

    def at(self, *keys: int | str) -> Origin:
        """A part of this part."""
        return replace(self, keys=(*self.keys, *keys))

    def tell(self, fault: str, *keys: int | str) -> str:
        """A fault in one line: file and line, the keys, and what is wrong."""
        line = "" if self.node is None else f":{self.line(*keys)}"
        path = ".".join(str(key)[:100] for key in (*self.keys, *keys)[:12])
        return ": ".join(part for part in (f"{self.name}{line}", path, fault) if part)

    def line(self, *keys: int | str) -> int:
        """The line of a key below this part, counted from 1; of the nearest above it if it is not there."""
        node, line = self.node, self.node.start_mark.line if self.node else 0
        for key in (*self.keys, *keys):
            found = _child(node, key)
            if found is None:
                break
            line, node = found
        return line + 1 + self.lines_before


def _child(node: yaml.Node | None, key: int | str) -> tuple[int, yaml.Node] | None:
    """The line of a key or item, and what stands there."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line, node.value[key]
    return None


def read(path: Path) -> list[tuple[Any, Origin]]:
    """What a file holds: its documents, each with where it stands.

    Raises:
        ConfigError: it cannot be read, or is no YAML; names the file and the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is no text in UTF-8") from error
    return list(parse(text, Origin(str(path))))


def parse(text: str, origin: Origin) -> Iterator[tuple[Any, Origin]]:
    """The documents of a text in YAML; `origin` says where the text stands.

    Raises:
        ConfigError: it is no YAML; names the line.
    """
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield loader.construct_document(node), replace(origin, node=node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 + origin.lines_before if error.problem_mark else 1
        raise ConfigError(f"{origin.name}:{line}: this is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin.name}: this is no YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
