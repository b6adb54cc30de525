"""The small standalone Qdrant of this project as a process of its own, which can be killed and started again."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

_START_S = 60
_STOP_S = 20


class StoreProcess:
    """`qdrant-inference store` on two ports."""

    def __init__(self, folder: Path, rest_port: int, grpc_port: int) -> None:
        self.rest_address = f"http://127.0.0.1:{rest_port}"
        ports = ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
        self._command = [sys.executable, "-m", "serve_app", "store", "--folder", str(folder), *ports]
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
        self._limit_files(0)

    def empty_disk(self) -> None:
        """The opposite."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        process = psutil.Process(self._process.pid)
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
