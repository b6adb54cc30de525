"""The model hub as a source, with its library replaced; wheels and folders are tested with the model store."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import errors

from deployments.catalogue import HubSource
from deployments.errors import ModelFilesError
from deployments.sources import describe, fetch

SOURCE = HubSource.model_validate(
    {"hub": "toys/bear", "revision": "v2", "files": {"model.onnx": {"path": "onnx/model.onnx"}, "config.json": {}}}
)


def silent(phase: str, done: int, total: int | None) -> None:
    """A report that nobody reads."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    target, scratch = tmp_path / "target", tmp_path / "scratch"
    target.mkdir()
    scratch.mkdir()
    return target, scratch


def replace_library(monkeypatch: pytest.MonkeyPatch, download: Any) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download, errors=errors))


def test_files_of_the_hub_get_the_names_of_the_catalogue(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(repository: str, path: str, *, revision: str, local_dir: Path) -> str:
        asked.append((repository, path, revision))
        (local_dir / path).parent.mkdir(exist_ok=True)
        (local_dir / path).write_text(path)
        return str(local_dir / path)

    replace_library(monkeypatch, download)
    folder = fetch(SOURCE, *folders, silent)
    assert asked == [("toys/bear", "onnx/model.onnx", "v2"), ("toys/bear", "config.json", "v2")]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "model.onnx": "onnx/model.onnx",
        "config.json": "config.json",
    }


@pytest.mark.parametrize(
    "error", [errors.LocalEntryNotFoundError("cannot find it on the hub"), ConnectionError("refused"), OSError("reset")]
)
def test_when_the_hub_is_away_the_error_says_in_one_line_what_to_do(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise error

    replace_library(monkeypatch, download)
    with pytest.raises(ModelFilesError, match=r"cannot be reached.*HTTPS_PROXY.*HF_ENDPOINT.*copy its cache") as caught:
        fetch(SOURCE, *folders, silent)
    assert "\n" not in str(caught.value)


def test_when_the_hub_refuses_a_file_the_error_names_it(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise errors.HFValidationError("no such thing")

    replace_library(monkeypatch, download)
    with pytest.raises(ModelFilesError, match=r"the hub refused 'onnx/model.onnx' \(HFValidationError\)"):
        fetch(SOURCE, *folders, silent)


def test_without_the_hub_s_library_the_error_says_so(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelFilesError, match="huggingface_hub is not installed"):
        fetch(SOURCE, *folders, silent)


def test_a_source_is_described_by_what_one_would_search_for() -> None:
    assert describe(SOURCE) == "model hub toys/bear@v2"
