"""The API for Qdrant servers."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.errors import Overloaded
from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.config.settings import IngressSettings
from tests.support.fakes import FakeModel, dense
from tests.support.gateway import Gateway
from tests.support.inference_calls import asked, text


async def test_embeddings_come_in_the_order_of_the_inputs_with_the_usage() -> None:
    inputs = [text("one"), text("word", "qdrant/bm25"), {"data": "x", "data_type": "image", "model": "org/vision"}]
    answer = await Gateway().client.post("/inference", json=asked(*inputs, text("one", mrl=2)))
    assert answer.status_code == 200
    first, second, third, fourth = answer.json()["embeddings"]
    assert first == pytest.approx(dense("passage: one").tolist())
    assert second == {"indices": [7], "values": [4.0]}
    assert len(third) == 4
    assert len(fourth) == 2
    tokens = {model: used["tokens"] for model, used in answer.json()["usage"]["models"].items()}
    assert tokens == {"org/dense": len("passage: one"), "qdrant/bm25": 4, "org/vision": 2}


async def test_searches_have_the_prefix_of_queries() -> None:
    answer = await Gateway().client.post("/inference", json=asked(text("one"), inference="search"))
    assert answer.json()["embeddings"][0] == pytest.approx(dense("query: one").tolist())


async def test_no_inputs_give_no_embeddings() -> None:
    answer = await Gateway().client.post("/inference", json=asked())
    assert answer.json() == {"embeddings": [], "usage": {"models": {}}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (asked(text("a", "none")), "inputs[0]: no model 'none'"),
        (asked(text(5)), "inputs[0].text: expected a string"),
        (asked(text("a", colour=1)), "colour"),
        (asked({"data": {}, "data_type": "object", "model": "org/dense"}), "'object' is reserved"),
        (asked(text("a"), inference="guess"), "inference"),
        ({"inputs": 3, "inference": "update"}, "inputs"),
        ([], "top level"),
    ],
)
async def test_what_the_caller_got_wrong_is_400_in_this_protocols_shape(body: Any, said: str) -> None:
    answer = await Gateway().client.post("/inference", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


async def test_a_body_over_the_limit_is_a_bad_request() -> None:
    answer = await Gateway(settings=IngressSettings(body_bytes=10)).client.post("/inference", content=b" " * 11)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


async def test_a_full_queue_is_429_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> Any:
        raise Overloaded("too much waits", retry_after=3)

    monkeypatch.setattr(FakeModel, "__call__", full)
    answer = await Gateway().client.post("/inference", json=asked(text("a")))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


@pytest.mark.parametrize(
    ("address", "status"),
    [("qdrant:{key}@", 200), ("{key}@", 200), ("qdrant:wrong@", 401), ("", 401)],
)
async def test_a_key_in_the_configured_url_survives_callers_with_a_jwt(address: str, status: int) -> None:
    key = "k" * 20
    gateway = Gateway(authenticator=Authenticator(environment.read({"QDRANT_API_KEY": key})))
    body = {**asked(text("one")), "token": "the subject of a caller's JWT"}
    answer = await gateway.client.post(f"http://{address.format(key=key)}gateway/inference", json=body)
    assert answer.status_code == status


async def test_no_url_opens_more_than_this_api() -> None:
    gateway = Gateway(authenticator=Authenticator(environment.read({"QDRANT_API_KEY": "k" * 20})))
    answer = await gateway.client.get(f"http://qdrant:{'k' * 20}@gateway/collections")
    assert answer.status_code == 401
