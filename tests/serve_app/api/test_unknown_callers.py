"""Callers without a credential: whatever they send, nothing of it is read, and nothing forwarded."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from serve_app.api import inference_service
from tests.support.guarded import KEY, TOKENS, Guarded
from tests.support.inference_calls import asked, text
from tests.support.management import KEYS, World, make_world
from tests.support.strangers import BODIES, METHODS, paths, send


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), **KEYS)


@pytest.mark.parametrize("path", paths())
async def test_nothing_is_read_on_any_route(world: World, path: str) -> None:
    for method in METHODS:
        status, answer, read = await send(world.http, method, path)
        few = 5 if (method, path.rstrip("/")) == ("POST", "/inference") else 0  # its token is in the body
        assert read <= few, (method, path)
        assert len(answer) < 2000 or (method, status) == ("GET", 200), "a file of the console"
        assert status != 500
    for request in world.qdrant.requests:
        assert request.body == b"", "a body was forwarded"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_inference_without_a_key_costs_little_and_says_little(body: bytes, packed: bool) -> None:
    gateway = Guarded(**TOKENS)
    headers = {"content-encoding": "gzip"} if packed else {}
    content = gzip.compress(body) if packed else body
    await gateway.client.post("/inference", content=content, headers=headers)
    began = time.process_time()
    answer = await gateway.client.post("/inference", content=content, headers=headers)
    assert time.process_time() - began < 2, "a guard against minutes; what it takes is measured elsewhere"
    assert answer.status_code == 401
    assert len(answer.content) < 400
    assert gateway.untouched


async def test_a_bomb_without_a_key_is_not_unfolded() -> None:
    gateway = Guarded(**TOKENS)
    bomb = gzip.compress(bytes(50_000_000))
    answer = await gateway.client.post("/inference", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 401
    assert "needs its key in a header" in answer.json()["error"]


async def test_a_long_body_is_read_from_who_shows_a_key_first() -> None:
    gateway = Guarded(**TOKENS)
    long = asked(*(text(f"{number} " + "x" * 1000) for number in range(1100)))
    assert len(json.dumps(long)) > inference_service.UNKNOWN_CALLERS_BYTES
    assert (await gateway.send("POST", "/inference", {**long, "token": KEY})).status_code == 401
    assert (await gateway.send("POST", "/inference", long, api_key=KEY)).status_code == 200


@pytest.mark.parametrize("order", [("inputs", "inference", "token"), ("token", "inputs", "inference")])
async def test_a_token_is_found_wherever_it_stands(order: tuple[str, ...]) -> None:
    body = {**asked(text('say "token": "none"')), "token": KEY}
    answer = await Guarded(**TOKENS).send("POST", "/inference", {name: body[name] for name in order})
    assert answer.status_code == 200


async def test_slow_bodies_of_strangers_take_few_places_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference_service.UnknownBodies, "PATIENCE_S", 0.3)
    gateway = Guarded(**TOKENS)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    began = time.monotonic()
    waiting = [asyncio.create_task(gateway.client.post("/inference", content=slow())) for _ in range(200)]
    await asyncio.sleep(0.15)
    known = {**asked(text("tea")), "token": KEY}
    assert (await gateway.send("POST", "/inference", known)).status_code == 200, "a body at once takes no place"
    statuses = Counter(answer.status_code for answer in await asyncio.gather(*waiting))
    assert statuses == {401: 64, 429: 136}
    assert time.monotonic() - began < 20, "a guard against a minute"
    assert (await gateway.client.post("/inference", content=slow())).status_code == 401, "places are free again"
