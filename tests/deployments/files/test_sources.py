"""Sources of model files by themselves; wheels and folders are tested with the model store, the hub in test_hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.catalogue.card import FolderSource, HubSource, Source, WheelSource
from deployments.errors import ModelFilesError
from deployments.files.sources import describe, fetch


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (WheelSource(wheel="toy", version="1.0", files={}), "wheel toy 1.0"),
        (HubSource(hub="toys/bear", revision="v2", files={}), "model hub toys/bear@v2"),
        (FolderSource(folder=Path("/toys"), files={}), "folder /toys"),
    ],
)
def test_a_source_is_described_by_what_one_would_search_for(source: Source, expected: str) -> None:
    assert describe(source) == expected


def test_no_source_may_write_outside_of_its_folder(tmp_path: Path) -> None:
    source = HubSource.model_validate({"hub": "toys/bear", "files": {"../config.json": {}}})
    with pytest.raises(ModelFilesError, match="leads out of its folder"):
        fetch(source, tmp_path / "target", tmp_path / "scratch", lambda *_: None)
