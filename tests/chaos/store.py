"""The small standalone Qdrant of this project as a process of its own, which can be killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_START_S = 60
_STOP_S = 20


class StoreProcess:
    """`qdrant-inference store` on two ports."""

    def __init__(self, folder: Path, rest_port: int, grpc_port: int) -> None:
        self.rest_address = f"http://127.0.0.1:{rest_port}"
        ports = ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
        self._full = folder.with_name(f"{folder.name}.full")
        program = [sys.executable, "-m", "tests.chaos.small_disk", str(self._full)]
        self._command = [*program, "store", "--folder", str(folder), *ports]
        self._process: Any = None

    def start(self) -> None:
        """Start, and wait until it says that it is ready."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        for line in self._process.stdout:
            if line.startswith("ready"):
                return
            if time.monotonic() - began > _START_S:
                break
        raise RuntimeError("the standalone store did not start")

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._process.kill()
        self._process.wait(_STOP_S)
        self._process.stdout.close()

    def fill_disk(self) -> None:
        """From now on nothing that it writes finds room."""
        self._full.touch()

    def empty_disk(self) -> None:
        """The opposite."""
        self._full.unlink()
