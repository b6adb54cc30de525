"""What requests cost in one process, without Ray: processor time and the most memory at once.

Of callers without a credential: any of the routes and methods. Of those with one: a multiple of what they send.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from serve_app.api.grpc_callers import GrpcCallers
from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.protocol.grpc_services import _METHODS
from tests.support.guarded import TOKENS
from tests.support.management import KEYS, World, make_world
from tests.support.oversized import VALUES
from tests.support.strangers import BODIES, METHODS, paths, send

MOST_SECONDS, MOST_BYTES = 0.020, 1_000_000
"""What a request of a caller without a credential may take."""

_TIMES = 3
_SMALL = 5000
"""Bytes of a body that is too small to tell of a multiple."""


class Cost(NamedTuple):
    """Seconds of processor time, and bytes at the most."""

    what: str
    seconds: float
    memory: int


async def cost(what: str, request: Callable[[], Awaitable[Any]]) -> Cost:
    """Of a request: the least time of several, so that what else the machine does counts little."""
    await request()
    seconds = []
    for _ in range(_TIMES):
        began = time.process_time()
        await request()
        seconds.append(time.process_time() - began)
    tracemalloc.start()
    await request()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Cost(what, min(seconds), most)


class Part:
    """A body in one part."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __call__(self) -> Any:
        return {"type": "http.request", "body": self.body, "more_body": False}


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A gateway with keys, on a fake Qdrant."""
    with tempfile.TemporaryDirectory() as folder:
        yield make_world(Path(folder), qdrant_jwt_rbac=True, **KEYS)


async def of_strangers() -> list[Cost]:
    """The dearest request of each kind without a credential."""
    with world() as made:
        routes = [await _of_route(made, path, {}) for path in paths()]
        wrong = [await _of_route(made, path, {"api-key": "x" * 4000}) for path in paths()]
        bodies = [
            await cost("", partial(_inference, made, body, packed))
            for body in BODIES.values()
            for packed in (False, True)
        ]
        metadata = [("api-key", "x" * 4000), ("user-agent", "x")]
        callers = GrpcCallers(Authenticator(environment.read(TOKENS)))
        calls = [await cost("", partial(_call, callers, method, metadata)) for method in _METHODS]
    return [
        dearest("all routes of REST, without a credential", routes),
        dearest("all routes of REST, with a wrong one", wrong),
        dearest("POST /inference, bodies of all kinds", bodies),
        dearest("all methods of gRPC", calls),
    ]


def dearest(what: str, costs: list[Cost]) -> Cost:
    return Cost(what, max(one.seconds for one in costs), max(one.memory for one in costs))


async def _of_route(made: World, path: str, headers: dict[str, str]) -> Cost:
    shown = [(name.encode(), value.encode()) for name, value in headers.items()]
    known = [method for method in METHODS if not (method == "GET" and path.startswith("/inference"))]  # files
    costs = [await cost(path, partial(send, made.http, method, path, shown)) for method in known]
    return dearest(path, costs)


async def _inference(made: World, body: bytes, packed: bool) -> None:
    headers = [(b"content-encoding", b"gzip")] if packed else []
    await send(made.http, "POST", "/inference", headers, Part(gzip.compress(body) if packed else body))


async def _call(callers: GrpcCallers, method: str, metadata: Any) -> None:
    callers.refusal(method, metadata)


PLACES = (
    ("PUT", "/collections/c/points", "points"),
    ("POST", "/collections/c/points/batch", "operations"),
    ("POST", "/collections/c/points/query", "prefetch"),
    ("POST", "/collections/c/points/query/batch", "searches"),
    ("POST", "/inference", "inputs"),
    ("POST", "/v1/embeddings", "input"),
    ("POST", "/v2/rerank", "documents"),
    ("POST", "/rerank", "texts"),
    ("POST", "/inference/playground", "inputs"),
    ("PUT", "/inference/settings", "models"),
)
"""The routes whose bodies are looked into, and a field of each that may hold much."""


async def of_known_callers() -> tuple[Cost, int, int]:
    """The dearest request of callers with a key, and nanoseconds and bytes of memory for each byte of a body."""
    by_byte: list[Cost] = []
    with world() as made:
        for method, path, field in PLACES:
            for name, value in VALUES.items():
                body = orjson.dumps({field: value, "model": "d/Dense"})
                if len(body) > _SMALL:
                    ask = partial(_known, made, method, path, body)
                    one = await cost(f"{method} {path}, {field}: {name}", ask)
                    by_byte.append(Cost(one.what, one.seconds / len(body), one.memory // len(body)))
                made.qdrant.requests.clear()
    slowest = max(by_byte, key=lambda one: one.seconds)
    return slowest, round(slowest.seconds * 1e9), max(one.memory for one in by_byte)


async def _known(made: World, method: str, path: str, body: bytes) -> None:
    headers = [(b"api-key", KEYS["qdrant_inference_admin_key"].encode()), (b"content-type", b"application/json")]
    await send(made.http, method, path, headers, Part(body))


if __name__ == "__main__":
    for row in asyncio.run(of_strangers()):
        print(row)  # noqa: T201
    print(asyncio.run(of_known_callers()))  # noqa: T201
