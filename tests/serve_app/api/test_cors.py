"""What scripts of web pages elsewhere may do; the right values are those of actix-cors as Qdrant sets it up."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.config.settings import IngressSettings
from tests.support.gateway import UPSERT, Gateway

ORIGIN = "https://shop.example"
ASKING = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "api-key,x-a"}


def guarded(**settings: Any) -> Gateway:
    keys = environment.read({"QDRANT_API_KEY": "k" * 20})
    return Gateway(authenticator=Authenticator(keys), settings=IngressSettings(**settings))


@pytest.mark.parametrize("path", ["/collections/c/points/query", "/v1/embeddings", "/inference", "/not/known"])
async def test_a_browser_is_answered_beforehand_without_a_key(path: str) -> None:
    gateway = guarded()
    answer = await gateway.client.options(path, headers=ASKING)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-headers"] == "api-key,x-a"
    assert {"GET", "PUT", "POST", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers
    assert gateway.qdrant.requests == []


async def test_an_unknown_method_may_not_be_used() -> None:
    answer = await guarded().client.options("/collections", headers={**ASKING, "access-control-request-method": "X"})
    assert answer.status_code == 400


@pytest.mark.parametrize("key", ["k" * 20, "wrong"])
@pytest.mark.parametrize("path", ["/collections/c/points", "/inference"])
async def test_every_answer_may_be_read_refusals_too(key: str, path: str) -> None:
    gateway = guarded()
    answer = await gateway.client.request("PUT", path, json=UPSERT, headers={"origin": ORIGIN, "api-key": key})
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert "Origin" in answer.headers["vary"]


async def test_without_an_origin_only_caches_are_told() -> None:
    answer = await guarded().client.get("/collections", headers={"api-key": "k" * 20})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


async def test_what_qdrant_says_of_origins_is_not_said_twice() -> None:
    gateway = guarded()
    gateway.qdrant.headers = [(b"access-control-allow-origin", b"*"), (b"vary", b"Origin")]
    answer = await gateway.client.get("/collections", headers={"origin": ORIGIN, "api-key": "k" * 20})
    assert answer.headers.get_list("access-control-allow-origin") == [ORIGIN]
    assert answer.headers.get_list("vary") == ["Origin"]


async def test_it_can_be_switched_off() -> None:
    gateway = guarded(enable_cors=False)
    gateway.qdrant.headers = [(b"access-control-allow-origin", b"*")]
    answer = await gateway.client.get("/collections", headers={"origin": ORIGIN, "api-key": "k" * 20})
    assert not any(name.startswith("access-control") for name in answer.headers)
    await gateway.client.options("/collections", headers=ASKING)
    assert gateway.qdrant.requests[-1].method == "OPTIONS"
