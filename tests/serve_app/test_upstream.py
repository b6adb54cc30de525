"""The way to a Qdrant server, against real HTTP and gRPC servers in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aiohttp import web
from qdrant_client import grpc as q
from qdrant_client.grpc import points_service_pb2_grpc

from deployments.errors import UpstreamUnavailable
from serve_app.exchange import Call, Request, read
from serve_app.upstream import RemoteQdrant, UpstreamStatus


class Points(points_service_pb2_grpc.PointsServicer):
    """Counts everything as 7, and refuses to delete."""

    seen: Any = None

    async def Count(self, request: Any, context: Any) -> Any:
        self.seen = dict(context.invocation_metadata())
        return q.CountResponse(result=q.CountResult(count=7))

    async def Delete(self, request: Any, context: Any) -> Any:
        context.set_trailing_metadata([("x-reason", "no")])
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "may not delete")


class Server:
    """A Qdrant over there."""

    def __init__(self) -> None:
        self.points = Points()
        self.requests: list[dict[str, Any]] = []
        self.grpc = grpc.aio.server()
        points_service_pb2_grpc.add_PointsServicer_to_server(self.points, self.grpc)
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        app = web.Application(client_max_size=10**9)
        app.router.add_route("*", "/{tail:.*}", self.answer)
        self.runner = web.AppRunner(app)
        self.http_port = 0

    async def start(self) -> None:
        await self.grpc.start()
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.http_port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        await self.runner.cleanup()
        await self.grpc.stop(0)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(
            {"method": request.method, "url": request.raw_path, "headers": dict(request.headers), "body": body}
        )
        return web.Response(status=418, body=body, headers={"X-Answer": "yes", "Content-Type": "a/b"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def remote(server: Server) -> AsyncIterator[RemoteQdrant]:
    remote = RemoteQdrant(f"http://127.0.0.1:{server.http_port}", f"http://127.0.0.1:{server.grpc_port}")
    yield remote
    await remote.close()


async def test_a_request_and_its_answer_pass_as_they_are(server: Server, remote: RemoteQdrant) -> None:
    headers = [(b"api-key", b"secret"), (b"x-odd", b"1"), (b"host", b"gateway"), (b"connection", b"close")]
    answer = await remote.rest(Request("PUT", "/a%2Fb/c%20d", "q=%C3%A4&q=", headers, b"\x00body"))
    (seen,) = server.requests
    assert (seen["method"], seen["url"], seen["body"]) == ("PUT", "/a%2Fb/c%20d?q=%C3%A4&q=", b"\x00body")
    sent = {name.lower() for name in seen["headers"]}
    assert sent == {"api-key", "x-odd", "host", "content-length"}
    assert seen["headers"]["Host"] == f"127.0.0.1:{server.http_port}"
    assert answer.status == 418
    assert (b"x-answer", b"yes") in answer.headers
    assert (b"content-type", b"a/b") in answer.headers
    assert await read(answer.body) == b"\x00body"


async def test_a_body_is_streamed_in_both_directions(server: Server, remote: RemoteQdrant) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000
            await asyncio.sleep(0)

    headers = [(b"transfer-encoding", b"chunked")]
    answer = await remote.rest(Request("POST", "/collections/c/snapshots/upload", "", headers, parts()))
    assert not isinstance(answer.body, bytes)
    assert sum([len(part) async for part in answer.body]) == 1_000_000


async def test_a_grpc_call_passes_with_its_metadata(server: Server, remote: RemoteQdrant) -> None:
    call = Call("/qdrant.Points/Count", [("api-key", "secret")])
    answer: Any = await remote.grpc(q.CountPoints(collection_name="c"), call)
    assert answer.result.count == 7
    assert server.points.seen["api-key"] == "secret"


async def test_a_grpc_status_passes_with_its_metadata(remote: RemoteQdrant) -> None:
    with pytest.raises(UpstreamStatus) as caught:
        await remote.grpc(q.DeletePoints(collection_name="c"), Call("/qdrant.Points/Delete"))
    assert (caught.value.code, caught.value.details) == (grpc.StatusCode.PERMISSION_DENIED, "may not delete")
    assert ("x-reason", "no") in list(caught.value.metadata)


async def test_an_unreachable_qdrant_is_said_so_on_both_ways() -> None:
    remote = RemoteQdrant("http://127.0.0.1:9", "http://127.0.0.1:9")
    with pytest.raises(UpstreamUnavailable):
        await remote.rest(Request("GET", "/", "", [], b""))
    with pytest.raises(UpstreamUnavailable):
        await remote.grpc(q.CountPoints(), Call("/qdrant.Points/Count"))
    await remote.close()
