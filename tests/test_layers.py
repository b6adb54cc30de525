"""The layers of the code, held by a walk over its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("serve_app/**/*.py"), *ROOT.glob("deployments/**/*.py")])
SEEN_BY_THE_GATEWAY = {"contract", "errors", "catalogue", "metrics"}
SETS_UP = ("serve_app/app.py", "serve_app/cli/")
KNOWS_RAY = {
    *(f"deployments/{name}.py" for name in ("autoscaling", "metrics/ray_exporter", "replica/gpu", "replica/loading")),
    *(f"serve_app/{name}.py" for name in ("app", "cli/config_check", "cli/launcher", "cluster/handles")),
    *(f"serve_app/{name}.py" for name in ("cluster/model_states", "embedded/deployment", "ingress")),
}
NOT_IN_THE_CORE = {"ray", "asyncio", "aiohttp", "httpx", "grpc", "starlette", "onnxruntime"}


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module in {"deployments", "serve_app"} or node.module.startswith("tests."):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_layers_hold(path: Path) -> None:
    found, here = set(imports(path)), name(path)
    packages = {module.partition(".")[0] for module in found}
    if here.startswith("deployments/"):
        assert "serve_app" not in packages, "the models know nothing of the gateway"
    if here.startswith("serve_app/") and not here.startswith(SETS_UP):
        assert {module.split(".")[1] for module in found if module.startswith("deployments.")} <= SEEN_BY_THE_GATEWAY
    if here.startswith("serve_app/inference/"):
        assert not packages & NOT_IN_THE_CORE, "the core knows no Ray, no HTTP, no async"
        assert "async def" not in path.read_text(encoding="utf-8")
    if "ray" in packages:
        assert here in KNOWS_RAY
    if "onnxruntime" in packages:
        assert here == "deployments/networks/session.py"


def test_there_is_something_to_walk() -> None:
    assert len(FILES) > 20


def test_what_tests_share_lies_in_modules_without_tests() -> None:
    for path in (*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")):
        for module in imports(path):
            shared = module.split(".")[1:] if module.startswith("tests.") else []
            assert not [part for part in shared if part == "conftest" or part.startswith("test_")], name(path)
