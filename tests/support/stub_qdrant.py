"""A Qdrant over there, which answers what it is asked."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import grpc
import trustme
from aiohttp import web
from qdrant_client import grpc as q
from qdrant_client.grpc import points_service_pb2_grpc


class Points(points_service_pb2_grpc.PointsServicer):
    """Counts everything as 7, and refuses to delete."""

    seen: Any = None
    calls = 0

    def __init__(self, answers: asyncio.Event) -> None:
        self.answers = answers

    async def Count(self, request: Any, context: Any) -> Any:
        self.calls += 1
        await self.answers.wait()
        self.seen = dict(context.invocation_metadata())
        await context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2")])
        return q.CountResponse(result=q.CountResult(count=7))

    async def Delete(self, request: Any, context: Any) -> Any:
        context.set_trailing_metadata([("x-reason", "no")])
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "may not delete")


class Server:
    """A Qdrant over there."""

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        self.certificate = certificate
        self.answers = asyncio.Event()
        self.answers.set()
        self.points = Points(self.answers)
        self.requests: list[dict[str, Any]] = []
        self.http_port = self.grpc_port = 0

    async def start(self) -> None:
        """Start, or start again on the same ports."""
        self.grpc = grpc.aio.server()
        points_service_pb2_grpc.add_PointsServicer_to_server(self.points, self.grpc)
        self.grpc_port = self._add_port(f"127.0.0.1:{self.grpc_port}")
        await self.grpc.start()
        app = web.Application(client_max_size=10**9)
        app.router.add_route("*", "/{tail:.*}", self.answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.http_port, ssl_context=self._context()).start()
        self.http_port = self.runner.addresses[0][1]

    def _add_port(self, address: str) -> int:
        if self.certificate is None:
            return self.grpc.add_insecure_port(address)
        pair = self.certificate.private_key_pem.bytes(), self.certificate.cert_chain_pems[0].bytes()
        return self.grpc.add_secure_port(address, grpc.ssl_server_credentials([pair]))

    def _context(self) -> ssl.SSLContext | None:
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.certificate.configure_cert(context)
        return context

    async def stop(self) -> None:
        await self.runner.cleanup()
        await self.grpc.stop(None)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.answers.wait()
        self.requests.append(
            {"method": request.method, "url": request.raw_path, "headers": dict(request.headers), "body": body}
        )
        return web.Response(status=418, body=body, headers={"X-Answer": "yes", "Content-Type": "a/b"})
