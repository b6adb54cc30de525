"""What answers at an address of this machine: a service of ours, a Qdrant, or something else."""

from __future__ import annotations

import json
import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

_PATIENCE_S = 2.0
_BYTES = 4096
_NOT_ASKED = "not asked yet"
"""The words of `serve_app/api/health.py`."""


class Neighbour(NamedTuple):
    """Who answers: whether it is a service of ours, and Qdrant's version if it is a Qdrant without us before it."""

    ours: bool
    qdrant: str = ""


def who_answers(port: int, host: str = "localhost") -> Neighbour | None:
    """Who speaks HTTP there; None if nobody does, or nobody whom we know. No key is needed to learn it."""
    page = _get(host, port, "/inference/")
    if b"<title>Inference</title>" in page:
        return Neighbour(ours=True)
    try:
        said = json.loads(_get(host, port, "/"))
    except ValueError:
        return None
    known = isinstance(said, dict) and str(said.get("title", "")).startswith("qdrant")
    return Neighbour(ours=False, qdrant=str(said.get("version", ""))) if known else None


def qdrant_trouble(port: int) -> str:
    """What a service of ours says of its Qdrant, such as `Qdrant cannot be reached`; empty if all is well.

    A service that has just started may not have asked it yet: that takes a moment.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while (said := _of_qdrant(port)) == _NOT_ASKED and time.monotonic() < deadline:
        time.sleep(0.1)
    return said if said.startswith("Qdrant") or not said else f"Qdrant {said}"


def _of_qdrant(port: int) -> str:
    _, text = _asked("localhost", port, "/readyz?verbose")
    start = "[-] qdrant: "
    lines = text.decode(errors="replace").splitlines()
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


def is_reached(port: int, host: str = "localhost", *, with_store: bool = False) -> bool:
    """Whether a service of ours answers there by itself: HAProxy has other answers while it knows no replica of it.

    `with_store`: and has reached its store.
    """
    status, _ = _asked(host, port, "/readyz" if with_store else "/livez")
    return status in {HTTPStatus.OK, HTTPStatus.FORBIDDEN}  # without keys it obeys only the host names that it knows


def _get(host: str, port: int, path: str) -> bytes:
    """The first bytes of an answer with status 200; nothing if there is none."""
    status, text = _asked(host, port, path)
    return text if status == HTTPStatus.OK else b""


def _asked(host: str, port: int, path: str) -> tuple[int, bytes]:
    """The status and the first bytes of an answer; 0 and nothing if there is none."""
    try:
        with closing(HTTPConnection(host, port, timeout=_PATIENCE_S)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(_BYTES)
    except (OSError, HTTPException):
        return 0, b""
