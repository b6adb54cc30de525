"""The command line, without a service."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from serve_app.cli import app

CATALOGUE = """
models:
  - name: toys/bear
    family: sparse
    context_window: 8
    licence: none
    card: none
    sources:
      - folder: bear
        files: {weights.bin: {sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}}
  - name: qdrant/bm25
    family: bm25
    licence: none
    card: none
"""


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue with one model whose only file says `secret`, and an empty cache."""
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bear").mkdir()
    (tmp_path / "bear" / "weights.bin").write_text("secret")
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_models_are_listed_pulled_and_verified(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    assert "missing" in run("models", "list", *options)[1]
    assert run("models", "verify", *options)[0] == 1
    assert run("models", "pull", *options)[0] == 0
    assert run("models", "verify", *options)[0] == 0
    status, listed = run("models", "list", *options)
    assert status == 0
    assert "ready" in listed
    assert "none needed" in listed


def test_a_damaged_file_is_found_by_verify(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    run("models", "pull", *options)
    (catalogue.parent / "bear" / "weights.bin").write_text("SECRET")
    status, said = run("models", "verify", "toys/bear", *options)
    assert status == 1
    assert "expected sha256 2bb80d5" in " ".join(said.split())


@pytest.mark.parametrize("command", ["pull", "verify"])
def test_an_unknown_model_is_one_line_and_status_1(catalogue: Path, command: str) -> None:
    status, said = run("models", command, "toys/bea", "--catalogue", catalogue)
    assert status == 1
    assert "no model 'toys/bea' here; available: toys/bear, qdrant/bm25" in said
    assert "Traceback" not in said


def test_a_wrong_catalogue_names_file_key_and_expectation(catalogue: Path) -> None:
    catalogue.write_text(CATALOGUE.replace("context_window: 8", "context_window: many"))
    status, said = run("models", "list", "--catalogue", catalogue)
    assert status == 1
    assert "models.0.context_window" in said.replace("\n", "")


@pytest.mark.parametrize(
    "command", [(), ("up",), ("demo",), ("store",), ("models",), ("models", "list"), ("models", "pull")]
)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    status, said = run(*command, "--help")
    assert status == 0
    assert "Usage" in said
