"""Long bodies are looked through beside other requests."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path

import pytest

import serve_app
from serve_app.protocol.offload import LONG, beside, collect_in_lots, take_short_turns
from tests.support.gateway import Gateway


@pytest.mark.parametrize(("size", "here"), [(0, True), (LONG - 1, True), (LONG, False)])
async def test_what_is_long_is_for_a_thread(size: int, here: bool) -> None:
    assert (await beside(size, threading.current_thread) is threading.current_thread()) == here


def test_threads_take_short_turns() -> None:
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    try:
        take_short_turns()
        assert sys.getswitchinterval() < 0.001
        assert gc.get_threshold() == (*thresholds[:2], 1000)
    finally:
        sys.setswitchinterval(before)
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize("file", ["ingress.py", "embedded/deployment.py", "embedded/server.py"])
def test_processes_that_answer_requests_take_short_turns(file: str) -> None:
    assert "    take_short_turns()\n" in (Path(serve_app.__file__).parent / file).read_text()


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


def test_the_ingress_collects_garbage_in_lots_and_everything_as_seldom_as_before() -> None:
    thresholds = gc.get_threshold()
    try:
        collect_in_lots()
        young, older, everything = gc.get_threshold()
    finally:
        gc.set_threshold(*thresholds)
    assert young == 10_000
    assert young * (older + 1) * everything == pytest.approx(700 * 11 * 1000, rel=0.1)
    assert "    collect_in_lots()\n" in (Path(serve_app.__file__).parent / "ingress.py").read_text()
