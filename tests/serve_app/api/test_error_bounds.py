"""What an oversized request costs and is told, on every endpoint: all of REST and gRPC, in front of the embedded store.

Times are processor times, and the bound is generous: what is looked for is cost that grows faster than a body does.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psutil
import pytest
import pytest_asyncio

from serve_app.embedded.deployment import Store
from serve_app.protocol.grpc_services import _METHODS
from serve_app.protocol.messages import Request
from serve_app.upstream.embedded import EmbeddedQdrant
from tests.support.guarded import KEY, TOKENS, Guarded
from tests.support.management import KEYS, make_world
from tests.support.oversized import VALUES, fields, messages, routes_of_ours
from tests.support.qdrant_api import ROUTES, filled

pytestmark = pytest.mark.slow

MOST_SECONDS = 2.0
MOST_MEMORY = 100_000_000

LONGEST = 2048
WITH_BODIES = sorted(route for route in ROUTES if fields(*route))


@contextmanager
def little_is_spent(what: object) -> Iterator[None]:
    process = psutil.Process()
    before, began = process.memory_info().rss, time.process_time()
    yield
    assert time.process_time() - began < MOST_SECONDS, what
    assert process.memory_info().rss - before < MOST_MEMORY, what


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    kept = Store(str(tmp_path_factory.mktemp("data")), "127.0.0.1")
    qdrant = EmbeddedQdrant(kept.address)
    made = Guarded(**TOKENS)
    made.pipeline._upstream = qdrant
    config = {"vectors": {"size": 4, "distance": "Dot"}}
    await qdrant.rest(Request("PUT", "/collections/c", "", (), orjson.dumps(config)))
    yield made
    await qdrant.close()
    await kept._server.stop()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("method", "path"), WITH_BODIES)
async def test_rest_of_qdrants(gateway: Guarded, method: str, path: str) -> None:
    where = (
        filled(path.replace("{collection_name}", "c")) if path != "/collections/{collection_name}" else "/collections/n"
    )
    for field in sorted(fields(method, path)):
        for name, value in VALUES.items():
            body = orjson.dumps({**_sound(path), field: value})
            with little_is_spent((method, path, field, name)):
                answer = await gateway.client.request(method, where, content=body, headers={"api-key": KEY})
            assert answer.status_code < 400 or len(answer.content) <= LONGEST, (field, name, answer.content[:200])
            assert answer.status_code not in {500, 502}, (field, name, answer.content[:200])


def _sound(path: str) -> dict[str, object]:
    """What else a body needs so that the field that is too large is looked at."""
    if "/query" in path:
        return {"query": [1, 2, 3, 4], "limit": 1}
    return {"limit": 1} if path.endswith(("scroll", "facet")) else {}


@pytest.mark.parametrize(("method", "path"), routes_of_ours())
async def test_rest_of_ours(method: str, path: str, tmp_path: Path) -> None:
    world = make_world(tmp_path, **KEYS)
    key = KEYS["qdrant_inference_admin_key"] if path.endswith("settings") else KEYS["qdrant_api_key"]
    model = "r/reranker" if path.endswith("rerank") else "d/Dense"
    sound = {"model": model, "models": ["d/Dense"], "inference": "search", "input": "a", "inputs": [{"text": "a"}]}
    sound |= {"query": "a", "documents": ["a"], "texts": ["a"]}
    for field in sorted(fields(method, path)):
        for name, value in VALUES.items():
            body = {**{key: sound[key] for key in fields(method, path) & sound.keys()}, field: value}
            with little_is_spent((path, field, name)):
                answer = await world.ask(method, path, body, api_key=key, content_type="application/json")
            assert answer.status < 400 or len(answer.content) <= LONGEST, (field, name, answer.content[:200])
            assert answer.status != 500, (field, name, answer.content[:200])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("method", sorted(_METHODS))
async def test_grpc(gateway: Guarded, method: str) -> None:
    for field, message in messages(method):
        with little_is_spent((method, field)):
            code, details = await gateway.call(method, message, api_key=KEY)
        assert len(details.encode()) <= LONGEST, (field, details[:200])
        assert code is None or code.name not in {"INTERNAL", "UNKNOWN"}, (field, code, details[:200])


def test_the_walk_is_a_walk() -> None:
    assert len(WITH_BODIES) > 35
    assert len(list(messages("/qdrant.Points/Query"))) > 5
