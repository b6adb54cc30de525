"""The layers of the code, held by a walk over its imports: those inside of functions and for types alone included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("serve_app/**/*.py"), *ROOT.glob("deployments/**/*.py")])
PAGE = ROOT / "docs" / "architecture.md"

ORDER = {
    "deployments": (
        "errors", "kinds", "contract", "channel", "weighed_cache", "shared_lock", "metrics", "catalogue", "autoscaling",
        "files", "images", "providers",
        "architectures", "graphs", "networks", "families", "replica", "onboarding",
    ),
    "serve_app": (
        "protocol", "observability", "inference", "front", "config", "demo", "console", "ledger", "embedded", "cluster",
        "batching", "auth", "upstream", "embedder", "routes", "pipeline", "api", "background", "onboarding", "ingress",
        "app", "cli", "__main__",
    ),
}  # fmt: skip
"""The folders of each tree, and the files beside them, lowest first: each imports from lower ones only."""

SEEN_BY_THE_GATEWAY = {"contract", "channel", "kinds", "errors", "weighed_cache", "shared_lock", "catalogue", "metrics"}
SETS_UP = ("serve_app/app.py", "serve_app/cli/", "serve_app/onboarding.py")
KNOWS_RAY = {
    *(f"deployments/{name}.py" for name in ("autoscaling", "metrics/ray_exporter", "replica/gpu", "replica/loading")),
    "deployments/replica/channel_server.py",
    *(f"serve_app/{name}.py" for name in ("app", "cli/config_check", "cli/launcher", "cluster/handles")),
    *(f"serve_app/{name}.py" for name in ("cluster/model_states", "cluster/applications", "onboarding")),
    *(f"serve_app/{name}.py" for name in ("embedded/deployment", "front/guard", "front/ray_replica", "ingress")),
    "serve_app/cli/worker_paths.py",
    "serve_app/cli/ray_processes.py",
}
NOT_IN_THE_CORE = {"ray", "asyncio", "aiohttp", "httpx", "grpc", "starlette", "onnxruntime"}

Graph = Mapping[str, set[str]]


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


@cache
def imports(path: Path) -> frozenset[str]:
    """The full names of all modules that a file imports; of a package's names, those that are modules."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full not in MODULES:
                    yield node.module
                if full in MODULES or node.module.startswith("tests."):
                    yield full


def folder(module: str) -> tuple[str, str]:
    """The tree and the folder in it that a module belongs to, or the file right in the tree; for the tree, itself."""
    tree, _, rest = module.partition(".")
    return tree, rest.partition(".")[0]


def circles(graph: Graph) -> list[list[str]]:
    """Every node that can be reached from itself, with the way there and back."""
    found = []
    for start in sorted(graph):
        ways = [[start, after] for after in sorted(graph[start])]
        seen: set[str] = set()
        while ways:
            way = ways.pop()
            if way[-1] == start:
                found.append(way)
                break
            if way[-1] not in seen:
                seen.add(way[-1])
                ways += [[*way, after] for after in sorted(graph.get(way[-1], ()))]
    return found


def graph(names: Iterable[tuple[str, str]]) -> Graph:
    edges: dict[str, set[str]] = {}
    for one, other in names:
        if one != other:
            edges.setdefault(one, set()).add(other)
    return edges


def between_files() -> Iterator[tuple[str, str]]:
    for name, path in MODULES.items():
        yield from ((name, other) for other in imports(path) & MODULES.keys())


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_layers_hold(path: Path) -> None:
    found, here = imports(path), name(path)
    packages = {module.partition(".")[0] for module in found}
    if here.startswith("deployments/"):
        assert "serve_app" not in packages, "the models know nothing of the gateway"
    if here.startswith("serve_app/") and not here.startswith(SETS_UP):
        assert {folder(module)[1] for module in found if module.startswith("deployments.")} <= SEEN_BY_THE_GATEWAY
    if here.startswith("serve_app/inference/"):
        assert not packages & NOT_IN_THE_CORE, "the core knows no Ray, no HTTP, no async"
        assert "async def" not in path.read_text(encoding="utf-8")
    if here.startswith("serve_app/observability/"):
        own = {folder(module)[1] for module in found if module.startswith("serve_app.")}
        assert own <= {"observability"}, "whatever is seen, observability sees none of it"
    if "ray" in packages:
        assert here in KNOWS_RAY
    if "onnxruntime" in packages:
        assert here == "deployments/networks/session.py"


@pytest.mark.parametrize("tree", ORDER)
def test_every_folder_has_its_place(tree: str) -> None:
    there = {folder(module)[1] for module in MODULES if folder(module)[0] == tree} - {""}
    assert there == set(ORDER[tree])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_import_leads_upward(path: Path) -> None:
    tree, here = folder(module(path))
    if not here:
        return
    order = ORDER[tree]
    for other in imports(path) & MODULES.keys():
        its_tree, its_folder = folder(other)
        if its_tree == tree and its_folder:
            assert order.index(its_folder) <= order.index(here), f"{name(path)} imports {other}"


def test_there_is_no_circle_of_files() -> None:
    assert circles(graph(between_files())) == []


def test_there_is_no_circle_of_folders() -> None:
    """Of folders within folders, too; a file right in a tree stands for itself."""

    def place(module: str) -> str:
        path = MODULES[module]
        return name(path if path.parent.parent == ROOT else path.parent)

    assert circles(graph((place(one), place(other)) for one, other in between_files())) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}}) == [
        ["a", "b", "c", "a"],
        ["b", "c", "a", "b"],
        ["c", "a", "b", "c"],
    ]


def picture() -> list[str]:
    """The folders of both trees, highest first, as docs/architecture.md has them."""
    return [
        f"{tree}/{folder}"
        for tree in ("serve_app", "deployments")
        for folder in reversed(ORDER[tree])
        if (ROOT / tree / folder).is_dir()
    ]


def test_the_page_has_the_order_of_the_code() -> None:
    block = PAGE.read_text(encoding="utf-8").partition("```layers\n")[2].partition("```")[0]
    assert block.split() == picture(), "the block `layers` should be:\n" + "\n".join(picture())


def test_there_is_something_to_walk() -> None:
    assert len(FILES) > 20


def test_what_tests_share_lies_in_modules_without_tests() -> None:
    for path in (*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")):
        for module in imports(path):
            shared = module.split(".")[1:] if module.startswith("tests.") else []
            assert not [part for part in shared if part == "conftest" or part.startswith("test_")], name(path)


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name)
def test_a_packages_table_names_each_of_its_files(path: Path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    if "| file |" not in told:
        return
    names = set(re.findall(r"`([\w/]+)`", "".join(re.findall(r"^\|([^|]+)\|", told, re.MULTILINE))))
    files = {one.stem for one in path.parent.glob("*.py")} - {"__init__", "__main__"}
    folders = {f"{one.parent.name}/" for one in path.parent.glob("*/__init__.py")}
    assert files | folders <= names, "named in the table of the package"
    assert names - {"__main__"} <= files | folders, "there is such a file"
