"""What a caller's deadline, and a caller who hangs up, do to a Qdrant that hangs: through HAProxy and Ray Serve."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import httpx
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


async def test_a_deadline_ends_the_call_of_qdrant_too(tmp_path: Path) -> None:
    qdrant = HangingQdrant()
    service = RunningService(tmp_path, await qdrant.start(), models=["qdrant/bm25"])
    await asyncio.to_thread(service.start)
    try:
        await _over_grpc(service, qdrant)
        await _over_rest(service, qdrant)
    finally:
        await asyncio.to_thread(service.stop)
        await qdrant.stop()


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
