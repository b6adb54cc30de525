"""How much of its disk a store takes."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoreSize:
    """Bytes on the disk of a store, and bytes that are left there."""

    bytes: int
    free_bytes: int


def measure(folder: Path) -> StoreSize:
    """The size of all files below a folder; what vanishes meanwhile does not count."""
    return StoreSize(_below(str(folder)), shutil.disk_usage(folder).free)


def _below(folder: str) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _below(entry.path)
                else:
                    total += _on_disk(entry)
    except FileNotFoundError:  # a segment that was replaced
        return total
    return total


def _on_disk(entry: os.DirEntry[str]) -> int:
    """What a file takes of the disk: the store's files have holes."""
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return min(found.st_size, found.st_blocks * 512)
