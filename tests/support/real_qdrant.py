"""A real Qdrant server: a local binary on ports of its own, or one that runs somewhere already."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.support.running import free_ports

BINARY = os.environ.get("QDRANT_BINARY")
URL = os.environ.get("QDRANT_TEST_URL")
GRPC_URL = os.environ.get("QDRANT_TEST_GRPC_URL")
START_TIMEOUT_S = 60


class Addresses(NamedTuple):
    """Where a server is, whose collections tests may make and drop."""

    rest: str
    grpc: str


class RealQdrant:
    """`qdrant` with a folder and ports of its own; settings are Qdrant's, such as `SERVICE__API_KEY`."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.rest_port, self.grpc_port = free_ports(2)
        self.url, self.grpc_url = (f"http://127.0.0.1:{port}" for port in (self.rest_port, self.grpc_port))
        ours = {
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": str(self.rest_port),
            "SERVICE__GRPC_PORT": str(self.grpc_port),
            "STORAGE__STORAGE_PATH": str(folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            **(settings or {}),
        }
        self.settings = ours
        self._environment = {**os.environ, **{f"QDRANT__{name}": value for name, value in ours.items()}}
        self._process: Any = None

    def start(self) -> RealQdrant:
        """Start, or start again, and wait until it answers."""
        with (self.folder / "output.log").open("a") as output:
            self._process = subprocess.Popen(
                [str(BINARY)], cwd=self.folder, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self.url):
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, "Qdrant did not start"
            time.sleep(0.1)
        return self

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self._process.pid)

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        """End it in good order."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    @property
    def said(self) -> str:
        """The end of its log."""
        return (self.folder / "output.log").read_text(encoding="utf-8", errors="replace")[-3000:]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
