"""Long bodies are looked through beside other requests."""

from __future__ import annotations

import threading

import pytest

from serve_app.protocol.offload import LONG, beside
from tests.support.gateway import Gateway


@pytest.mark.parametrize(("size", "here"), [(0, True), (LONG - 1, True), (LONG, False)])
async def test_what_is_long_is_for_a_thread(size: int, here: bool) -> None:
    assert (await beside(size, threading.current_thread) is threading.current_thread()) == here


async def test_an_error_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await beside(LONG, lambda: 1 // 0)


async def test_a_long_body_is_embedded_as_a_short_one_is() -> None:
    gateway = Gateway()
    points = [{"id": 1, "vector": {"text": "tea", "model": "org/dense"}, "payload": {"a": "x" * LONG}}]
    assert (await gateway.put({"points": points})).status_code == 200
    assert b'"model"' not in gateway.qdrant.requests[0].body
    nameless = [{"id": 1, "vector": {"text": "tea", "model": ""}, "payload": {"a": "x" * LONG}}]
    assert (await gateway.put({"points": nameless})).status_code == 400
