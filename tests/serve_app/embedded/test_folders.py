"""Copies and snapshots of a folder in which the engine is making the next part of its log."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from serve_app.embedded.edge import folders
from serve_app.embedded.edge.snapshots import Snapshots


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    folder = tmp_path / "a-shard"
    for name in ("wal/open-1", "segments/s/data"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "empty").mkdir()
    (folder / "wal/tmp-open-2").symlink_to("gone")  # as if it had got its name at this moment
    return folder


def test_what_is_only_being_made_is_in_no_copy(shard: Path, tmp_path: Path) -> None:
    folders.copy(shard, tmp_path / "copy")
    found = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert found == {"wal", "wal/open-1", "segments", "segments/s", "segments/s/data", "empty"}


def test_nor_is_it_in_a_snapshot(shard: Path, tmp_path: Path) -> None:
    made = Snapshots(tmp_path / "snapshots").create("c", shard, {"a": 1})
    with tarfile.open(tmp_path / "snapshots/c" / made["name"]) as archive:
        names = archive.getnames()
    parts = ["empty", "segments", "segments/s", "segments/s/data", "wal", "wal/open-1"]
    assert names == ["collection.json", "shard", *(f"shard/{part}" for part in parts)]
