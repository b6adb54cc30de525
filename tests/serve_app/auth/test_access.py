"""Keys: who may come in over each protocol."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from qdrant_client import grpc as q

from serve_app.api.rest import HttpApi
from serve_app.auth.access import Access, Authenticator
from serve_app.config import environment
from serve_app.protocol.grpc_services import request_class
from tests.support.gateway import UPSERT
from tests.support.guarded import KEY, KEYS, QUERY, READ_ONLY, TOKENS, Guarded, granted, query, upsert
from tests.support.inference_calls import asked, text


async def test_without_keys_everybody_may_do_everything() -> None:
    gateway = Guarded()
    assert (await gateway.send("PUT", "/collections/c/points", UPSERT)).status_code == 200
    assert (await gateway.send("DELETE", "/collections/c", api_key="any")).status_code == 200
    assert (await gateway.call("/qdrant.Points/Upsert", upsert()))[0] is None
    assert (await gateway.send("POST", "/inference", asked(text("a")))).status_code == 200


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, 401),
        ({"api_key": KEY}, 200),
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"api_key": KEY, "authorization": "Bearer wrong"}, 200),
        ({"api_key": "wrong", "authorization": f"Bearer {KEY}"}, 401),
        ({"api_key": ""}, 401),
        ({"api_key": KEY[:-1]}, 401),
        ({"api_key": KEY + " x"}, 401),
        ({"api_key": KEY.upper()}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"openai_api_key": KEY}, 401),
        ({"api_key": READ_ONLY}, 403),
        ({"authorization": f"Bearer {READ_ONLY}"}, 403),
    ],
)
async def test_a_write_needs_the_key(shown: dict[str, str], status: int) -> None:
    gateway = Guarded(**KEYS)
    answer = await gateway.send("PUT", "/collections/c/points", UPSERT, **shown)
    codes = {200: None, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}
    assert answer.status_code == status
    assert gateway.untouched == (status != 200)
    other = Guarded(**KEYS)
    assert (await other.call("/qdrant.Points/Upsert", upsert(), **shown))[0] is codes[status]
    assert other.untouched == (status != 200)


async def test_refusals_have_qdrants_words() -> None:
    gateway = Guarded(**KEYS)
    for shown, said in (
        ({}, "Must provide an API key or an Authorization bearer token"),
        ({"api_key": "wrong"}, "Invalid API key or JWT"),
        ({"api_key": READ_ONLY}, "Forbidden: Global manage access is required"),
    ):
        answer = await gateway.send("PUT", "/collections/c/points", UPSERT, **shown)
        assert answer.json() == {"status": {"error": said}, "time": 0.0, "result": None}
        assert (await gateway.call("/qdrant.Points/Upsert", upsert(), **shown))[1] == said


async def test_the_read_only_key_searches() -> None:
    gateway = Guarded(**KEYS)
    assert (await gateway.send("POST", "/collections/c/points/query", QUERY, api_key=READ_ONLY)).status_code == 200
    assert (await gateway.call("/qdrant.Points/Query", query(), api_key=READ_ONLY))[0] is None
    assert len(gateway.model.batches) == 2


async def test_a_read_only_key_alone_closes_the_door_to_writes() -> None:
    gateway = Guarded(QDRANT_READ_ONLY_API_KEY=READ_ONLY)
    assert (await gateway.send("GET", "/collections", api_key=READ_ONLY)).status_code == 200
    assert (await gateway.send("PUT", "/collections/c/points", UPSERT)).status_code == 401
    assert (await gateway.send("PUT", "/collections/c/points", UPSERT, api_key="")).status_code == 401


async def test_health_and_version_need_no_key() -> None:
    gateway = Guarded(**KEYS)
    for path in ("/", "/healthz", "/livez", "/readyz"):
        assert (await gateway.send("GET", path)).status_code == 200
    assert (await gateway.call("/qdrant.Qdrant/HealthCheck", q.HealthCheckRequest()))[0] is None
    health = request_class("/grpc.health.v1.Health/Check")()
    assert (await gateway.call("/grpc.health.v1.Health/Check", health))[0] is None


async def test_a_browser_may_ask_before_it_sends_a_key() -> None:
    gateway = Guarded(**KEYS)
    assert (await gateway.send("OPTIONS", "/collections/c/points", origin="http://page")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("PUT", "/collections/c/points", READ_ONLY, 403),
        ("PUT", "/collections/c/points", "wrong", 401),
        ("POST", "/inference", "wrong", 401),
    ],
)
async def test_a_refused_request_is_not_read(method: str, path: str, key: str, status: int) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"api-key", key.encode()), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await HttpApi(Guarded().pipeline, Authenticator(environment.read(KEYS)))(scope, receive, send)
    assert sent[0]["status"] == status


@pytest.mark.parametrize("key", [KEY, READ_ONLY])
async def test_a_qdrant_server_shows_its_key_in_the_body_or_in_a_header(key: str) -> None:
    gateway = Guarded(**KEYS)
    assert (await gateway.send("POST", "/inference", {**asked(text("a")), "token": key})).status_code == 200
    assert (await gateway.send("POST", "/inference", asked(text("a")), api_key=key)).status_code == 200


@pytest.mark.parametrize("shown", [None, "wrong", granted(("c", "rw")), 5])
async def test_a_qdrant_server_without_a_key_is_refused_before_inference(shown: Any) -> None:
    gateway = Guarded(**TOKENS)
    answer = await gateway.send("POST", "/inference", {**asked(text("a")), "token": shown})
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert gateway.untouched


def test_no_key_is_shown_by_accident() -> None:
    settings = environment.read(TOKENS)
    access = Authenticator(settings)._of_key(KEY.encode())
    for shown in (settings, Authenticator(settings), access, Access("m", upstream_key=KEY.encode())):
        assert KEY not in f"{shown!r} {shown!s}"
        assert READ_ONLY not in f"{shown!r} {shown!s}"
