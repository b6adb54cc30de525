"""What programs that no test runs import is there: benchmarks, chaos, attacks. mypy and the tests see to the rest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
TREES = ("serve_app", "deployments", "benchmarks", "tests")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for tree in TREES
    for path in sorted(ROOT.glob(f"{tree}/**/*.py"))
}
PROGRAMS = ("benchmarks.", "tests.chaos.", "tests.attack.", "tests.on_kubernetes.", "tests.support.", "tests.pictures")
OF_ANOTHER_COMMIT = {"benchmarks.pipeline.e394067"}
"""What runs beside the code of another commit, and imports that."""
NAMED = re.compile(r'"((?:benchmarks|deployments|serve_app|tests)(?:\.\w+)+(?::\w+)?)"')
"""A module as programs and Serve configs name it, with what they want of it."""


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


@cache
def names(module: str) -> frozenset[str]:
    """All that a module binds outside of its functions and classes."""
    return frozenset(_bound(parsed(module).body))


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        else:
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name) and _is_new(name))
            for inner in ("body", "orelse", "finalbody", "handlers"):
                for part in getattr(node, inner, []):
                    yield from _bound(part.body if isinstance(part, ast.ExceptHandler) else [part])


def _is_new(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def test_what_is_imported_is_there() -> None:
    missing = [
        f"{module}: {node.module}.{alias.name}"
        for module in FILES.keys() - OF_ANOTHER_COMMIT
        if module.startswith(PROGRAMS)
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in TREES
        for alias in node.names
        if f"{node.module}.{alias.name}" not in FILES
        and (node.module not in FILES or alias.name not in names(node.module))
    ]
    assert missing == []


def test_what_is_named_is_there() -> None:
    missing = [
        f"{module}: {name}"
        for module in FILES
        if module.startswith(PROGRAMS)
        for name in NAMED.findall(FILES[module].read_text(encoding="utf-8"))
        if not _is_there(name)
    ]
    assert missing == []


def _is_there(name: str) -> bool:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    return name in FILES or (module in FILES and attribute in names(module)) or "__main__" in name
