"""What web pages elsewhere can do to a service without keys: nothing."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.config.settings import IngressSettings
from tests.support.gateway import UPSERT, Gateway
from tests.support.guarded import KEY, KEYS, Guarded

FOREIGN = "https://evil.example"
ROUTES = [
    ("DELETE", "/collections/c", None),
    ("PUT", "/collections/c/points", UPSERT),
    ("POST", "/collections/c/points/delete", {"points": [1]}),
    ("POST", "/inference", {"inputs": [], "inference": "search"}),
    ("PUT", "/inference/settings", {"inference": False}),
    ("GET", "/collections", None),
    ("OPTIONS", "/collections", None),
    ("GET", "/readyz", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example", ""]
)
async def test_a_page_of_another_origin_is_refused(method: str, path: str, body: Any, origin: str) -> None:
    gateway = Gateway()
    asking = {"origin": origin, "access-control-request-method": "DELETE"}
    answer = await gateway.client.request(method, path, json=body, headers=asking)
    assert answer.status_code == 403
    assert gateway.qdrant.requests == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6333", "localhost.evil.example", "127.0.0.1.evil.example"]
)
async def test_a_name_that_strangers_can_have_is_refused(host: str) -> None:
    gateway = Gateway()
    for method, path, body in ROUTES:
        answer = await gateway.client.request(method, path, json=body, headers={"host": host})
        assert answer.status_code == 403, path
    assert gateway.qdrant.requests == []


@pytest.mark.parametrize(
    "host",
    ["localhost:6333", "127.0.0.1:6333", "[::1]:6333", "192.168.1.5", "inference", "a.default.svc.cluster.local"],
)
async def test_own_names_are_answered(host: str) -> None:
    answer = await Gateway().client.get("/collections", headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "host"),
    [("http://localhost:3000", "127.0.0.1:6333"), ("http://[::1]:1", "localhost"), ("http://box:6333", "box:6333")],
)
async def test_pages_of_this_machine_and_its_own_may_ask(origin: str, host: str) -> None:
    answer = await Gateway().put(UPSERT, headers={"origin": origin, "host": host, "content-type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_is_not_json(kind: str) -> None:
    gateway = Gateway()
    answer = await gateway.put(UPSERT, headers={"origin": "http://localhost:3000", "content-type": kind})
    assert answer.status_code == 415
    assert gateway.qdrant.requests == []


async def test_settings_allow_more() -> None:
    gateway = Gateway(settings=IngressSettings(allowed_origins=(FOREIGN,), allowed_hosts=("qdrant.shop.example",)))
    headers = {"origin": FOREIGN, "host": "qdrant.shop.example", "content-type": "application/json"}
    assert (await gateway.put(UPSERT, headers=headers)).status_code == 200


async def test_with_keys_any_origin_may_try() -> None:
    headers = {"origin": FOREIGN, "host": "evil.example", "api-key": KEY}
    assert (await Guarded(**KEYS).put(UPSERT, headers=headers)).status_code == 200


async def test_clients_that_are_no_browsers_notice_nothing() -> None:
    answer = await Gateway().put(UPSERT, headers={"content-type": "text/plain"})
    assert answer.status_code == 200
