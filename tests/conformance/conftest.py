"""A second service, in front of a store that runs by itself, as a Qdrant over there."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import real_qdrant
from tests.support.keys import KEY, READ_ONLY_KEY
from tests.support.models import COLBERT, with_random_models
from tests.support.running import RunningService, free_ports


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The REST and gRPC addresses of a real Qdrant where there is one (`QDRANT_BINARY`), or of our store by itself."""
    if real_qdrant.BINARY:
        server = real_qdrant.RealQdrant(tmp_path_factory.mktemp("qdrant")).start()
        yield server.url, server.grpc_url
        server.stop()
    else:
        yield from _store(tmp_path_factory.mktemp("qdrant"))


def _store(folder: Path) -> Iterator[tuple[str, str]]:
    rest, grpc = free_ports(2)
    command = [sys.executable, "-m", "serve_app", "store", "--folder", str(folder / "data")]
    ports = ["--rest-port", str(rest), "--grpc-port", str(grpc)]
    with (folder / "output.log").open("w") as output:
        process: Any = subprocess.Popen([*command, *ports], stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while "ready" not in (folder / "output.log").read_text():
        assert process.poll() is None, (folder / "output.log").read_text()
        assert time.monotonic() < deadline, "the store did not start"
        time.sleep(0.1)
    yield f"http://127.0.0.1:{rest}", f"http://127.0.0.1:{grpc}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.fixture(scope="session")
def remote_service(qdrant: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service in front of that store, which asks for keys."""
    address = dict(zip(("QDRANT_URL", "QDRANT_GRPC_URL"), qdrant, strict=True))
    keys = {"QDRANT_API_KEY": KEY, "QDRANT_READ_ONLY_API_KEY": READ_ONLY_KEY}
    running = RunningService(tmp_path_factory.mktemp("remote-service"), {**address, **keys})
    with_random_models(running, COLBERT).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"
