"""The wheel, installed into an environment of its own and used far from any clone.

Its dependencies are those of the environment that runs the tests (`tests.support.wheel` has how); all of the project's
own files come out of the wheel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from deployments.files.store import cache_folder
from tests.support import own_model, wheel
from tests.support.running import RunningService

Run = Callable[..., str]

OF_SOME_MODULES = """
from serve_app.cli.main import app
from serve_app.demo import walkthrough
texts = [text for text in walkthrough.standard_library() if text.module in {"random", "zipfile", "copy"}]
walkthrough.standard_library = lambda: texts
app()
"""
"""The command with a hundredth of the demo's texts: all of them take minutes."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel.install(built, tmp_path_factory.mktemp("environment") / "env")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def variables(home: Path) -> dict[str, str]:
    """A user's environment: no clone on the path, a home of its own, the models that are in the cache already."""
    return {"PYTHONPATH": "", "HOME": str(home), "XDG_CONFIG_HOME": "", "QDRANT_INFERENCE_CACHE": str(cache_folder())}


@pytest.fixture
def run(programs: Path, home: Path, variables: dict[str, str]) -> Run:
    """What a command says; it has to succeed."""

    def command(*arguments: str | Path, program: Sequence[str] = ("qdrant-inference",)) -> str:
        done = subprocess.run(
            [programs / program[0], *program[1:], *arguments],
            cwd=home, env={**os.environ, **variables}, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return command


@pytest.fixture(scope="module")
def service(
    programs: Path, home: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    command = (str(programs / "qdrant-inference"), "up")
    for package in ("serve_app", "deployments"):  # as in a clone; nothing of it may be run
        (home / "clone" / package).mkdir(parents=True)
        (home / "clone" / package / "__init__.py").write_text("raise AssertionError")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home / "clone")
        running = RunningService(tmp_path_factory.mktemp("service"), variables, command).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"


def test_nothing_but_the_two_packages_is_installed(built: Path) -> None:
    names = zipfile.ZipFile(built).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"serve_app", "deployments"}
    assert {"serve_app/py.typed", "deployments/py.typed"} <= set(names)


def test_what_runs_comes_out_of_the_wheel(programs: Path, home: Path, variables: dict[str, str]) -> None:
    code = "import serve_app, deployments; print(serve_app.__file__, deployments.__file__)"
    command = [programs / "python", "-c", code]
    run = subprocess.run(
        command, cwd=home, env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=60
    )
    assert all(str(programs.parent) in place for place in run.stdout.split())


def test_the_version_is_that_of_the_project(run: Run) -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (wheel.ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert run("--version") == f"qdrant-inference {version}\n"


def test_a_config_file_of_ones_own_begins_with_one_that_comes_along(run: Run, home: Path) -> None:
    (home / "serve.yaml").write_text(run("config", "show", "configs/serve-local.yaml"))
    assert "at least" in run("config", "check", "serve.yaml")


def test_the_starter_models_are_there(run: Run) -> None:
    run("models", "pull", "starter/clip-shapes-text", "starter/clip-shapes-vision")
    assert "qdrant/bm25" in run("models", "list")
    assert "starter/splade-tiny" not in run("models", "list", "--catalogue", "configs/models/qdrant-cloud.yaml")


def test_a_model_of_ones_own_goes_to_the_users_configuration(
    run: Run, home: Path, tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(variables, "QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    said = run("models", "add", own_model.fine_tuned(tmp_path / "ours"), "--name", "shop/products")
    path = home / ".config" / "qdrant-inference" / "own.yaml"
    assert f"catalogue: {path}" in said
    assert yaml.safe_load(path.read_text())["include"] == ["configs/models/starter.yaml"]
    assert {"qdrant/bm25", "shop/products"} <= set(run("models", "list", "--catalogue", path).split())


def test_the_service_runs_and_the_demo_fills_it(run: Run, service: RunningService) -> None:
    deadline = time.monotonic() + 20
    while "chocolate" not in service.said and time.monotonic() < deadline:  # behind the line that says that it is ready
        time.sleep(0.1)
    assert "chocolate" in service.said
    run("demo", "--url", service.rest_address, program=("python", "-c", OF_SOME_MODULES))
    with urllib.request.urlopen(f"{service.rest_address}/collections", timeout=30) as answer:
        assert len(json.load(answer)["result"]["collections"]) == 2
