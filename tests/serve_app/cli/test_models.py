"""The commands for models, in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployments.graphs import cache
from serve_app.cli.files import STARTER
from tests.support.commands import run

CATALOGUE = """
models:
  - name: toys/bear
    family: sparse
    context_window: 8
    licence: none
    model_card_url: none
    sources:
      - folder: bear
        files: {weights.bin: {sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}}
  - name: qdrant/bm25
    family: bm25
    licence: none
    model_card_url: none
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


def test_models_are_listed_pulled_and_verified(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    assert "missing" in run("list", *options)[1]
    assert run("verify", *options)[0] == 1
    assert run("pull", *options)[0] == 0
    assert run("verify", *options)[0] == 0
    status, listed = run("list", *options)
    assert status == 0
    assert "ready" in listed
    assert "none needed" in listed


def test_a_removed_model_is_missing_and_its_local_folder_stays(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    run("pull", *options)
    status, said = run("remove", "TOYS/Bear", *options)
    assert (status, "removed  toys/bear" in said) == (0, True)
    assert "missing" in run("list", *options)[1]
    assert (catalogue.parent / "bear" / "weights.bin").read_text() == "secret"
    assert run("remove", *options)[0] == 2, "which models is not left open"


def test_a_quick_look_sees_sizes_and_not_bytes(catalogue: Path) -> None:
    look = ("verify", "--quick", "--catalogue", catalogue)
    assert run(*look)[0] == 1
    run("pull", "--catalogue", catalogue)
    weights = catalogue.parent / "bear" / "weights.bin"
    for text, status in (("secret", 0), ("SECRET", 0), ("shorter"[:3], 1)):
        weights.write_text(text)
        assert run(*look)[0] == status, text


def test_with_a_model_goes_what_was_built_from_it(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[Path] = []
    monkeypatch.setattr(cache, "forget", forgotten.append)
    for command in ("pull", "remove", "remove"):
        assert run(command, "toys/bear", "--catalogue", catalogue)[0] == 0
    assert forgotten == [catalogue.parent / "bear"], "a model whose files are gone has none"


def test_a_damaged_file_is_found_by_verify(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    run("pull", *options)
    (catalogue.parent / "bear" / "weights.bin").write_text("SECRET")
    status, said = run("verify", "toys/bear", *options)
    assert status == 1
    assert "expected sha256 2bb80d5" in said


def test_a_model_is_shown_with_its_entry_and_its_state(catalogue: Path) -> None:
    options = ("--catalogue", catalogue)
    assert "files   missing" in run("show", "toys/bear", *options)[1]
    run("pull", *options)
    status, said = run("show", "toys/bear", *options)
    assert status == 0
    for wanted in ("context_window: 8", "sparse vectors of texts", "files   ready", f"folder {catalogue.parent}/bear"):
        assert wanted in said


@pytest.mark.parametrize("command", ["pull", "verify", "remove", "show", "bench"])
def test_an_unknown_model_is_one_line_and_status_1(catalogue: Path, command: str) -> None:
    status, said = run(command, "toys/bea", "--catalogue", catalogue)
    assert status == 1
    assert "no model 'toys/bea' here; available: toys/bear, qdrant/bm25" in said
    assert said.count("\n") == 1


def test_a_wrong_catalogue_names_file_key_and_expectation(catalogue: Path) -> None:
    catalogue.write_text(CATALOGUE.replace("context_window: 8", "context_window: many"))
    status, said = run("list", "--catalogue", catalogue)
    assert status == 1
    assert "models.0.context_window" in said


def test_the_starter_models_are_listed_each_in_one_line() -> None:
    status, said = run("list")
    assert status == 0
    (line,) = (line for line in said.splitlines() if "sentence-transformers/all-minilm-l6-v2" in line)
    assert line.split()[1:4] == ["dense", "384", "256"]
    assert line.split()[-1] == "Apache-2.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows"), [("qdrant/bm25", 5), ("starter/splade-tiny", 5), ("starter/clip-shapes-vision", 1)]
)
def test_starter_models_are_measured(name: str, rows: int) -> None:
    run("pull", name, "--catalogue", STARTER)
    status, said = run("bench", name, "--seconds", "0.02")
    assert status == 0, said
    lines = [line for line in said.splitlines() if line.endswith(" ms") or " ms " in line]
    assert len(lines) == rows, said
    assert f"{name} on " in said
    assert f"{os.cpu_count()} cores" in said


def test_a_model_that_is_not_in_the_cache_is_not_measured(catalogue: Path) -> None:
    status, said = run("bench", "toys/bear", "--catalogue", catalogue)
    assert status == 1
    assert "qdrant-inference models pull" in said


@pytest.mark.parametrize("option", ["--provider", "--precision"])
def test_an_unknown_provider_or_precision_is_one_line(option: str) -> None:
    status, said = run("bench", "qdrant/bm25", option, "abacus")
    assert status == 1
    assert "must be 'auto'" in said
