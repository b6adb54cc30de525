"""`python -m tests.chaos.small_disk FILE store ...`: the command line; the disk has no room for it while FILE is there.

The engine maps its files into memory, so a limit of the operating system on files does not stop it, and the store asks
how much room there is before it writes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from serve_app.cli.main import app

_usage = shutil.disk_usage


def _less(full: Path, folder: Any) -> Any:
    usage = _usage(folder)
    return usage._replace(free=0) if full.exists() else usage


if __name__ == "__main__":
    file = Path(sys.argv.pop(1))
    with mock.patch.object(shutil, "disk_usage", lambda folder: _less(file, folder)):
        app()
