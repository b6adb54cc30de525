"""What callers without a credential may send: all methods and paths, and bodies of many kinds."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from deployments.catalogue.catalogue import HOME
from serve_app.api.rest import HttpApi
from tests.support.guarded import KEY
from tests.support.inference_calls import asked, text

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def paths() -> list[str]:
    """The paths of Qdrant's own description and of ours, and some that nobody has."""
    qdrant = json.loads((HOME / "tests" / "data" / "qdrant-openapi.json").read_text(encoding="utf-8"))["paths"]
    ours = json.loads((HOME / "serve_app" / "api" / "management" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    known = {path.replace("{", "").replace("}", "") for path in (*qdrant, *ours)}
    return sorted(
        {*known, "/", "//", "/inference", "/inference/", "/v1/embeddings", "/nobody/knows", "/collections/../x"}
    )


class Endless:
    """A body that comes as long as it is asked for, and counts."""

    def __init__(self) -> None:
        self.read = 0

    async def __call__(self) -> MutableMapping[str, Any]:
        self.read += 1
        assert self.read <= 64, "an endless body is read on and on"
        return {"type": "http.request", "body": b"[" * 65536, "more_body": True}


async def send(http: HttpApi, method: str, path: str, headers: Any = (), receive: Any = None) -> tuple[int, bytes, int]:
    """Status, body, and how many parts of the request's body were read."""
    body = receive or Endless()
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    await http({**scope, "headers": [(b"transfer-encoding", b"chunked"), *headers]}, body, keep)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), getattr(body, "read", 0)


BODIES = {
    "numbers": b'{"inference":"search","inputs":[' + b"0," * 400_000 + b"0]}",
    "lists": b'{"inference":"search","inputs":[' + b"[]," * 300_000 + b"0]}",
    "tokens": b'{"inputs":[' + b'{"token":"x"},' * 60_000 + b'{"token":"y"}],"token":"z"}',
    "no JSON": b"{" * 1_000_000,
    "nothing": b"",
    "a wrong token": json.dumps({**asked(text("a")), "token": "wrong"}).encode(),
    "the key, but not as token": json.dumps({**asked(text(json.dumps({"token": KEY})))}).encode(),
}
