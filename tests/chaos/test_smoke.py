"""The chaos suite's own parts: they notice what is wrong. Needs no Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.chaos import known
from tests.chaos.known import Content, check_distinct
from tests.chaos.load import Load
from tests.chaos.report import Row, table
from tests.chaos.store import StoreProcess
from tests.chaos.world import faults_of, stored_points
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.running import free_ports

CONTENT = Content("text", "m", known.texts(), np.eye(len(known.texts()), dtype=np.float32))
SIZE = len(CONTENT.inputs)


def test_points_that_are_gone_and_vectors_that_are_wrong_are_found() -> None:
    stored = {0: CONTENT.vectors[0].tolist(), SIZE + 1: CONTENT.vectors[1].tolist()}
    assert faults_of("a", CONTENT, {0, SIZE + 1}, stored) == []
    assert faults_of("a", CONTENT, {0, 5}, stored) == ["1 acknowledged points of a are gone"]
    stored[3] = CONTENT.vectors[4].tolist()
    assert faults_of("a", CONTENT, {0}, stored) == ["1 points of a have a wrong vector"]


def test_inputs_whose_vectors_are_alike_are_of_no_use() -> None:
    check_distinct(CONTENT)
    with pytest.raises(AssertionError, match="one vector"):
        check_distinct(Content("text", "m", ["a", "b"], np.full((2, 4), 0.5, np.float32)))


def test_a_broken_promise_stands_in_the_table() -> None:
    rows = [Row("x", 9, 4, {"503": 2}, 1, 2, 0.51), Row("y", broken=["requests hung"])]
    assert "| x | 9 | 4 | 2 503 | 1 | 2.0 s | 0.5 s | kept |" in table(rows)
    assert "| y | 0 | 0 | none | 0 | - | - | requests hung |" in table(rows)


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[tuple[FaultProxy, StoreProcess]]:
    """A standalone store, and a fault_proxy before it."""
    rest, grpc, store_rest, store_grpc = free_ports(4)
    store = StoreProcess(tmp_path / "data", store_rest, store_grpc)
    store.start()
    fault_proxy = FaultProxy(rest, grpc, store_rest, store_grpc)
    await fault_proxy.start()
    yield fault_proxy, store
    await fault_proxy.stop()
    store.kill()


async def test_a_store_fails_as_it_is_told_to_and_keeps_what_it_acknowledged(
    way: tuple[FaultProxy, StoreProcess],
) -> None:
    fault_proxy, store = way
    raw = {"points": [{"id": 3, "vector": CONTENT.vectors[3].tolist()}]}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{fault_proxy.rest_port}", timeout=10) as client:
        body = {"vectors": {"size": SIZE, "distance": "Cosine"}}
        assert (await client.put("/collections/a", json=body)).status_code == 200

        fault_proxy.become(Mode.FAILS)
        assert (await client.put("/collections/a/points?wait=true", json=raw)).status_code == 500
        fault_proxy.become(Mode.CUTS)
        with pytest.raises(httpx.TransportError):
            await client.put("/collections/a/points?wait=true", json={"points": []})
        fault_proxy.become(Mode.HANGS)
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/collections/a", timeout=0.5)
        fault_proxy.become(Mode.PASSES)
        assert await stored_points(client, "a") == {}

        store.fill_disk()
        assert (await client.put("/collections/a/points?wait=true", json=raw)).status_code == 500
        store.empty_disk()
        assert (await client.put("/collections/a/points?wait=true", json=raw)).status_code == 200

        await fault_proxy.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get("/collections/a")
        store.kill()
        await asyncio.to_thread(store.start)
        await fault_proxy.start()
        stored = await stored_points(client, "a")
        assert faults_of("a", CONTENT, {3}, stored) == []


async def test_a_load_counts_what_fails_and_sends_upserts_again(way: tuple[FaultProxy, StoreProcess]) -> None:
    """The store takes no inference objects, so here every request fails."""
    fault_proxy, _ = way
    load = Load(f"http://127.0.0.1:{fault_proxy.rest_port}", f"127.0.0.1:{fault_proxy.grpc_port}", {"nowhere": CONTENT})
    async with load.running():
        await asyncio.sleep(1)
    assert load.retried > 0
    assert load.acknowledged == {"nowhere": set()}
    assert sum(load.failures.values()) == len(load.sent)
