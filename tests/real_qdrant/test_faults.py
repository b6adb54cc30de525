"""What becomes of writes while a real Qdrant dies and comes back, and of a list of two nodes of which one is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_app.upstream.remote import RemoteQdrant
from tests.support.gateway import Gateway
from tests.support.real_qdrant import RealQdrant

WRITERS = 8
PAUSE_S = 2.0


@pytest.fixture
def server(tmp_path: Path, binary: str) -> Iterator[RealQdrant]:
    assert binary
    server = RealQdrant(tmp_path / "qdrant").start()
    config = {"vectors": {"size": 4, "distance": "Dot"}}
    assert httpx.put(f"{server.url}/collections/c", json=config, timeout=60).status_code == 200
    yield server
    server.stop()


class Writers:
    """Write points until they are told to stop, and keep what was acknowledged."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.acknowledged: list[int] = []
        self.statuses: set[int] = set()
        self.stopped = False

    async def write(self, number: int) -> None:
        """Write every `WRITERS`th point from `number` on."""
        while not self.stopped:
            point = {"id": number, "vector": {"text": f"tea {number}", "model": "org/dense"}}
            answer = await self._gateway.put({"points": [point]}, "/collections/c/points?wait=true")
            self.statuses.add(answer.status_code)
            if answer.status_code == httpx.codes.OK:
                self.acknowledged.append(number)
                number += WRITERS
            else:
                await asyncio.sleep(0.05)


async def test_nothing_that_was_acknowledged_is_lost_when_qdrant_is_killed(server: RealQdrant) -> None:
    upstream = RemoteQdrant([server.url], [server.grpc_url])
    gateway = Gateway(upstream=lambda _: upstream)
    writers = Writers(gateway)
    tasks = [asyncio.create_task(writers.write(number)) for number in range(WRITERS)]
    await asyncio.sleep(PAUSE_S)
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(PAUSE_S)
    before = len(writers.acknowledged)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(PAUSE_S)
    writers.stopped = True
    await asyncio.gather(*tasks)
    assert 0 < before < len(writers.acknowledged)
    assert writers.statuses <= {200, 503}
    body = {"ids": writers.acknowledged}
    found = (await gateway.client.post("/collections/c/points", json=body)).json()["result"]
    assert {point["id"] for point in found} == set(writers.acknowledged)
    await upstream.close()


async def test_a_list_of_two_nodes_serves_while_one_of_them_is_there(server: RealQdrant, tmp_path: Path) -> None:
    away = RealQdrant(tmp_path / "away")
    upstream = RemoteQdrant([away.url, server.url], [away.grpc_url, server.grpc_url])
    gateway = Gateway(upstream=lambda _: upstream)
    for number in range(4):
        point = {"id": number, "vector": {"text": "tea", "model": "org/dense"}}
        answer = await gateway.put({"points": [point]}, "/collections/c/points?wait=true")
        assert answer.status_code == 200, answer.text
    await upstream.close()
