"""Two ingress replicas in front of a Qdrant that hangs, through HAProxy and Ray Serve.

What a caller's deadline, and a caller who hangs up, do to Qdrant; who obeys a switch; and whether a stop loses tokens.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import yaml
from qdrant_client import grpc as q
from qdrant_client.grpc import points_service_pb2_grpc

from tests.support.running import RunningService


class HangingQdrant(points_service_pb2_grpc.PointsServicer):
    """Answers nobody, and keeps for how long each caller waited: over HTTP and over gRPC."""

    def __init__(self) -> None:
        self.waited: asyncio.Queue[float] = asyncio.Queue()

    async def start(self) -> dict[str, str]:
        """Start; where it listens, as the variables that say so."""
        self.http = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.grpc = grpc.aio.server()
        points_service_pb2_grpc.add_PointsServicer_to_server(self, self.grpc)
        ports = self.http.sockets[0].getsockname()[1], self.grpc.add_insecure_port("127.0.0.1:0")
        await self.grpc.start()
        rest, rpc = (f"http://127.0.0.1:{port}" for port in ports)
        return {"QDRANT_URL": rest, "QDRANT_GRPC_URL": rpc}

    async def stop(self) -> None:
        self.http.close()
        await self.grpc.stop(None)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        began = time.monotonic()
        await reader.read()
        self.waited.put_nowait(time.monotonic() - began)
        writer.close()

    async def Count(self, request: Any, context: Any) -> Any:
        began = time.monotonic()
        try:
            await asyncio.Event().wait()
        finally:
            self.waited.put_nowait(time.monotonic() - began)

    async def given_up_after(self) -> float:
        return await asyncio.wait_for(self.waited.get(), 20)


def with_two_ingress_replicas(running: RunningService) -> RunningService:
    """The service, not started yet."""
    config = yaml.safe_load(running.config.read_text())
    (application,) = config["applications"]
    (ingress,) = (deployment for deployment in application["deployments"] if deployment["name"] == "Ingress")
    ingress.pop("autoscaling_config", None)
    ingress["num_replicas"] = 2
    running.config.write_text(yaml.safe_dump(config))
    return running


async def test_deadlines_end_calls_of_qdrant_all_obey_a_switch_and_a_stop_loses_no_token(tmp_path: Path) -> None:
    qdrant = HangingQdrant()
    service = RunningService(tmp_path, await qdrant.start(), models=["qdrant/bm25", "starter/splade-tiny"])
    await asyncio.to_thread(with_two_ingress_replicas(service).start)
    try:
        await _over_grpc(service, qdrant)
        await _over_rest(service, qdrant)
        await _switch(service)
        tokens = await _tokens(service)
    finally:
        await asyncio.to_thread(service.stop)
        await qdrant.stop()
    with closing(sqlite3.connect(tmp_path / "data" / "ledger.sqlite3")) as database:
        assert database.execute("SELECT sum(tokens), sum(requests) FROM usage").fetchone() == (tokens, 50)
        assert database.execute("SELECT name FROM switched_off").fetchall() == [("starter/splade-tiny",)]


def _question(model: str) -> dict[str, Any]:
    return {"inputs": [{"data": "a cup of tea", "data_type": "text", "model": model}], "inference": "update"}


async def _switch(service: RunningService) -> None:
    """Whichever replica is asked, the model is off."""
    async with httpx.AsyncClient(base_url=service.rest_address, timeout=30) as client:
        deadline = time.monotonic() + 20
        while len((await client.get("/inference/live")).json()["result"]["replicas"]) < 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await client.put("/inference/settings", json={"models": {"starter/splade-tiny": False}})
        await asyncio.sleep(2)
        refused = [await client.post("/inference", json=_question("starter/splade-tiny")) for _ in range(30)]
        said = "inference is switched off for the model 'starter/splade-tiny'"
        assert {(answer.status_code, answer.json()["error"]) for answer in refused} == {(400, said)}


async def _tokens(service: RunningService) -> int:
    """How many 50 requests tell that they took."""
    async with httpx.AsyncClient(base_url=service.rest_address, timeout=30) as client:
        answers = [await client.post("/inference", json=_question("qdrant/bm25")) for _ in range(50)]
    return sum(answer.json()["usage"]["models"]["qdrant/bm25"]["tokens"] for answer in answers)


async def _over_grpc(service: RunningService, qdrant: HangingQdrant) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        count = channel.unary_unary("/qdrant.Points/Count", q.CountPoints.SerializeToString, q.CountResponse.FromString)
        for message, deadline, said in (
            (q.CountPoints(collection_name="c", timeout=1), None, "Qdrant did not answer"),
            (q.CountPoints(collection_name="c"), 1.0, "Deadline Exceeded"),
        ):
            try:
                await count(message, timeout=deadline)
            except grpc.aio.AioRpcError as error:
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                assert said in (error.details() or "")
            assert await qdrant.given_up_after() < 10


async def _over_rest(service: RunningService, qdrant: HangingQdrant) -> None:
    async with httpx.AsyncClient(base_url=service.rest_address, timeout=None) as client:
        answer = await client.get("/collections/c?timeout=1")
        assert answer.status_code == 504
        assert "Qdrant did not answer" in answer.json()["status"]["error"]
        assert answer.headers["retry-after"]
        assert await qdrant.given_up_after() < 10
        try:
            await asyncio.wait_for(client.get("/collections/c"), 1)
        except asyncio.TimeoutError:
            assert await qdrant.given_up_after() < 10
        else:
            raise AssertionError
