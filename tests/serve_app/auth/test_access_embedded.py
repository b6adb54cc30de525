"""In front of the embedded store, which knows no keys, what is let in is all that is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from qdrant_client import grpc as q

from serve_app.auth.permissions import Permission, of_method, of_route
from serve_app.embedded.deployment import Store
from serve_app.protocol import grpc_services
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.messages import Request
from serve_app.upstream.embedded import EmbeddedQdrant
from tests.support.guarded import KEY, READ_ONLY, TOKENS, Guarded, Shown, granted
from tests.support.qdrant_api import READING, ROUTES, filled

LET_IN = {*READING, Permission.NOTHING}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Guarded]:
    """A gateway in front of an embedded store with two collections of two points, `c` and `secret`."""
    kept = Store(str(tmp_path / "data"), "127.0.0.1")
    qdrant = EmbeddedQdrant(kept.address)
    for name in ("c", "secret"):
        points = [{"id": n, "vector": [n, 0, 0, 0], "payload": {"n": n}} for n in (1, 2)]
        config = {"vectors": {"size": 4, "distance": "Dot"}}
        await qdrant.rest(Request("PUT", f"/collections/{name}", "", (), orjson.dumps(config)))
        await qdrant.rest(Request("PUT", f"/collections/{name}/points", "", (), orjson.dumps({"points": points})))
    gateway = Guarded(**TOKENS)
    gateway.pipeline._upstream = qdrant
    yield gateway
    await qdrant.close()
    await kept._server.stop()


async def everything(store: Guarded) -> Any:
    """All that the embedded store holds."""
    whole = {"limit": 100, "with_vector": True}
    shown = {"api_key": KEY}
    answers = [await store.send("GET", path, **shown) for path in ("/collections", "/collections/c", "/aliases")]
    answers.append(await store.send("POST", "/collections/c/points/scroll", whole, **shown))
    return [answer.json()["result"] for answer in answers]


async def test_a_read_only_key_changes_nothing_by_any_route_or_method(store: Guarded) -> None:
    before = await everything(store)
    for method, path in sorted(ROUTES):
        answer = await store.send(method, filled(path.replace("{collection_name}", "c")), {}, api_key=READ_ONLY)
        allowed = of_route(method, filled(path))[0] in LET_IN
        assert (answer.status_code == 403) != allowed, (method, path)
    for name in grpc_services._METHODS:
        message = request_class(name)()
        if "collection_name" in message.DESCRIPTOR.fields_by_name:
            message.collection_name = "c"  # type: ignore[attr-defined]
        code, _ = await store.call(name, message, api_key=READ_ONLY)
        assert (code is grpc.StatusCode.PERMISSION_DENIED) != (of_method(name) in LET_IN), name
    assert await everything(store) == before


async def test_a_token_for_a_collection_learns_nothing_of_others_from_the_embedded_store(store: Guarded) -> None:
    shown = {"api_key": granted(("c", "rw"))}
    for path in ("/collections", "/aliases", "/collections/secret", "/collections/secret/exists", "/telemetry"):
        assert (await store.send("GET", path, **shown)).status_code == 403
    inner = q.QueryPoints(collection_name="secret", limit=5)
    batch = q.QueryBatchPoints(collection_name="c", query_points=[inner])
    context = Shown([("api-key", shown["api_key"])])
    answer: Any = await store.grpc.answer("QueryBatch", batch, context)
    assert context.code is None
    assert len(answer.result[0].result) == 2
