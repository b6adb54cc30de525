"""The files of another commit beside those of this one, so that both are measured in one run on one machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

THIS = Path(__file__).resolve().parents[1]
OLD = "e394067"
"""The commit that figures are compared with, if no other is named."""


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, while the context is open."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        git = ["git", "-C", str(THIS), "worktree"]
        if subprocess.run([*git, "add", "--detach", str(tree), commit], check=False, capture_output=True).returncode:
            sys.exit(f"commit {commit} is not in this clone")
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
