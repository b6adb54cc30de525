"""A second service, in front of a store that runs by itself, as a Qdrant over there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.keys import KEY, READ_ONLY_KEY
from tests.support.models import with_late_interaction
from tests.support.running import RunningService, free_ports


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The REST and gRPC ports of a store in a process of its own."""
    rest, grpc = free_ports(2)
    folder = tmp_path_factory.mktemp("qdrant")
    command = [sys.executable, "-m", "serve_app", "store", "--folder", str(folder / "data")]
    ports = ["--rest-port", str(rest), "--grpc-port", str(grpc)]
    with (folder / "output.log").open("w") as output:
        process: Any = subprocess.Popen([*command, *ports], stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while "ready" not in (folder / "output.log").read_text():
        assert process.poll() is None, (folder / "output.log").read_text()
        assert time.monotonic() < deadline, "the store did not start"
        time.sleep(0.1)
    yield rest, grpc
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def remote_service(qdrant: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service in front of that store, which asks for keys."""
    rest, grpc = qdrant
    address = {"QDRANT_URL": f"http://127.0.0.1:{rest}", "QDRANT_GRPC_URL": f"http://127.0.0.1:{grpc}"}
    keys = {"QDRANT_API_KEY": KEY, "QDRANT_READ_ONLY_API_KEY": READ_ONLY_KEY}
    running = RunningService(tmp_path_factory.mktemp("remote-service"), {**address, **keys})
    with_late_interaction(running).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"
