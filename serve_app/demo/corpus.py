"""Texts that every machine has: the docstrings of Python's standard library, read without importing it."""

from __future__ import annotations

import ast
import sysconfig
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKIPPED = {"test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo"}
"""Packages that come with the standard library and are no library."""

_Definition = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Docstring:
    """What a module, class, function or method says of itself; `name` is qualified (`json.encoder.JSONEncoder`)."""

    name: str
    kind: str
    module: str
    text: str

    @property
    def id(self) -> str:
        """The same name has the same id on every machine."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))

    @property
    def summary(self) -> str:
        """The first paragraph, in one line."""
        return " ".join(self.text.split("\n\n")[0].split())


def standard_library() -> list[Docstring]:
    """All docstrings of the running Python's standard library, ordered by file and place."""
    return docstrings(Path(sysconfig.get_paths()["stdlib"]))


def docstrings(folder: Path) -> list[Docstring]:
    """All docstrings of the modules under a folder, one for each qualified name: the first, if there are several."""
    found: dict[str, Docstring] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        # What is no identifier cannot be imported by name; site-packages is left out thereby.
        if not SKIPPED.intersection(parts) and all(part.isidentifier() for part in parts):
            for docstring in _of_file(path, ".".join(parts).removesuffix(".__init__")):
                found.setdefault(docstring.name, docstring)
    return list(found.values())


def _of_file(path: Path, module: str) -> Iterator[Docstring]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a file for another version of Python, or a template
        return
    for name, kind, node in [(module, "module", tree), *_definitions(tree, module)]:
        text = ast.get_docstring(node)
        if text and text.strip():
            yield Docstring(name, kind, module, text.strip())


def _definitions(
    parent: ast.AST, name: str
) -> Iterator[tuple[str, str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Name, kind and node of all that is defined inside a node, also under `if` and `try`."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, _Definition):
            qualified = f"{name}.{node.name}"
            yield qualified, _kind(node, parent), node
            yield from _definitions(node, qualified)
        elif isinstance(node, (ast.stmt, ast.ExceptHandler)):
            yield from _definitions(node, name)


def _kind(node: ast.AST, parent: ast.AST) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    return "method" if isinstance(parent, ast.ClassDef) else "function"
