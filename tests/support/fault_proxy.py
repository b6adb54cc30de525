"""Stands between the service and Qdrant, and misbehaves on request: over HTTP and over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import aiohttp
from aiohttp import web
from yarl import URL

_BUFFER = 64 * 1024


class Mode(Enum):
    """What becomes of a request."""

    PASSES = "it is passed on, and so is the answer"
    HANGS = "it is passed on, and the answer is kept back"
    FAILS = "it is not passed on, and answered with 500 (over gRPC, it is as CUTS)"
    CUTS = "it is passed on, and the connection is closed in the middle of the answer"


@dataclass
class FaultProxy:
    """A way to a server that can be made bad and good again; both ports are on this machine."""

    rest_port: int
    grpc_port: int
    qdrant_rest_port: int
    qdrant_grpc_port: int
    mode: Mode = Mode.PASSES
    _good: asyncio.Event = field(default_factory=asyncio.Event)
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on both ports."""
        self.become(Mode.PASSES)
        self._grpc = await asyncio.start_server(self._forward, "127.0.0.1", self.grpc_port)
        self._rest = web.ServerRunner(web.Server(self._answer), access_log=None, shutdown_timeout=0.5)
        self._session = aiohttp.ClientSession(auto_decompress=False)
        await self._rest.setup()
        await web.TCPSite(self._rest, "127.0.0.1", self.rest_port).start()

    async def stop(self) -> None:
        """Be gone: nothing listens, and all connections are closed."""
        self.become(Mode.CUTS)
        self._grpc.close()
        for end in self._ends:
            end.transport.abort()
        await self._rest.cleanup()
        await self._session.close()

    def become(self, mode: Mode) -> None:
        """Change what becomes of requests from now on; what was kept back goes on when it is not to hang any more."""
        self.mode = mode
        if mode is Mode.HANGS:
            self._good.clear()
        else:
            self._good.set()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One HTTP request."""
        body = await request.read()
        if self.mode is Mode.FAILS:
            return web.json_response({"status": {"error": "Service internal error"}, "time": 0.0}, status=500)
        target = URL(f"http://127.0.0.1:{self.qdrant_rest_port}{request.raw_path}", encoded=True)
        try:
            async with self._session.request(request.method, target, data=body) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return self._hang_up(request)
        await self._good.wait()
        if self.mode is Mode.CUTS:
            half = web.StreamResponse(status=answer.status, headers={"content-length": str(len(content))})
            await half.prepare(request)
            await half.write(content[: len(content) // 2])
            return self._hang_up(request)
        return web.Response(status=answer.status, body=content, content_type="application/json")

    def _hang_up(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)  # to nobody

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One gRPC connection, byte by byte."""
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.qdrant_grpc_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, to_writer}
        self._ends |= ends
        ways = self._pass_on(reader, to_writer, _at_once), self._pass_on(to_reader, writer, self._held)
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for end in ends:
            end.transport.abort()
        self._ends -= ends

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: Callable[[], Awaitable[bool]]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_BUFFER):
                if not await held():
                    return
                writer.write(data)
                await writer.drain()

    async def _held(self) -> bool:
        """Whether an answer may go on, once it may."""
        await self._good.wait()
        return self.mode not in {Mode.CUTS, Mode.FAILS}


async def _at_once() -> bool:
    return True
