"""An HTTP/1.1 server for one ASGI app behind a proxy. It does what such a server has to, and little else.

The proxy is trusted to bound heads and slow callers; what it passes on is parsed as strictly as llhttp does by default.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import httptools
from typing_extensions import override

from serve_app.front.http_exchange import App, Exchange, Headers, header_lines, scope_of

_BACKLOG = 2048
_BUFFERED = 64 * 1024
"""Bytes of a body that may wait for the app before no more are read."""

_TICK_S = 1.0
"""Between two looks for connections that have been idle, or requests that have taken, too long."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("latin-1") for status in HTTPStatus
}


class HttpServer:
    """Serves an app until `should_exit` is set and what was under way then is answered."""

    def __init__(self, app: App, keep_alive_s: float, request_timeout_s: float | None = None) -> None:
        """`keep_alive_s`: how long a connection may be idle. Requests that take too long end with 408."""
        self.app = app
        self.connections: set[_Connection] = set()
        self.date = b""
        self._keep_alive_s = keep_alive_s
        self._request_timeout_s = request_timeout_s or float("inf")
        self._exit = asyncio.Event()

    @property
    def should_exit(self) -> bool:
        """Whether new connections are refused, and those that are there end with their requests."""
        return self._exit.is_set()

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        if value:
            self._exit.set()

    async def serve(self, listening: socket.socket) -> None:
        """Serve. When this is cancelled, all connections are cut."""
        self._tick()
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), sock=listening, backlog=_BACKLOG
        )
        try:
            while not self.should_exit:
                await self._pause()
            server.close()
            for connection in list(self.connections):
                connection.leave()
            while self.connections:
                await asyncio.sleep(_TICK_S / 20)
                self._tick()
        finally:
            server.close()
            for connection in list(self.connections):
                connection.cut()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._exit.wait(), _TICK_S)
        except asyncio.TimeoutError:
            self._tick()

    def _tick(self) -> None:
        self.date = formatdate(usegmt=True).encode()
        now = time.monotonic()
        for connection in list(self.connections):
            connection.look(now - self._keep_alive_s, now - self._request_timeout_s)


class _Connection(asyncio.Protocol):
    """One connection of the proxy's. `_exchanges` are those that are not answered, the oldest first."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.writable: asyncio.Future[None] | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._arriving: Exchange | None = None
        self._reads = True
        self._keeps = True
        self._idle_since = time.monotonic()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self.transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self._parser = None  # the two hold each other
        self.resume_writing()
        for exchange in self._exchanges:
            exchange.hung_up()

    @override
    def pause_writing(self) -> None:
        self.writable = asyncio.get_running_loop().create_future()

    @override
    def resume_writing(self) -> None:
        if self.writable and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to nothing that is spoken here, so it is a request like others
            self._keeps = False
        except httptools.HttpParserError:
            self._refuse()
        self.pace()

    def on_message_begin(self) -> None:
        """The parser's, as the four below."""
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        version = parser.get_http_version()
        keeps = version == "1.1" and parser.should_keep_alive()
        scope = scope_of(parser.get_method().decode(), version, self._url, self._headers)
        self._headers = []  # of what may come behind the body, which nobody asks for
        self._arriving = exchange = Exchange(self, self.server.app, scope, keeps=keeps)
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            exchange.start()

    def on_body(self, body: bytes) -> None:
        if self._arriving:
            self._arriving.fed(body)

    def on_message_complete(self) -> None:
        if self._arriving:
            self._arriving.whole()
        self._arriving = None

    @property
    def is_leaving(self) -> bool:
        """Whether the request that is answered now is the last one."""
        return self._takes_no_more and len(self._exchanges) == 1

    @property
    def _takes_no_more(self) -> bool:
        return not self._keeps or self.server.should_exit

    def pace(self) -> None:
        """Read on, or not, by what waits here."""
        reads = len(self._exchanges) <= 1 and not (self._arriving and self._arriving.buffered > _BUFFERED)
        if reads is not self._reads and not self.transport.is_closing():
            self._reads = reads
            (self.transport.resume_reading if reads else self.transport.pause_reading)()

    def answered(self, exchange: Exchange) -> None:
        """The oldest request is done with; the rest of its body, if there is any, is read and forgotten."""
        self._exchanges.popleft()
        self._idle_since = time.monotonic()
        if self._exchanges and exchange.keeps:
            self._exchanges[0].start()
            self.pace()
        elif exchange.keeps and not self._takes_no_more:
            self.pace()
        else:
            self.transport.close()

    def _refuse(self) -> None:
        """What came is no HTTP: nothing more is read, and what was there before is answered."""
        self._keeps = False
        if self._arriving:  # it will never be whole
            self.cut()
        elif not self._exchanges:
            self.refuse(400, "this is not HTTP/1.1")
            self.transport.close()

    def refuse(self, status: int, message: str) -> None:
        """Write an answer of the server's own, in Qdrant's form of an error, after which the connection ends."""
        body = json.dumps({"status": {"error": message}, "time": 0.0}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self.transport.write(self.head(status, headers, keeps=False) + body)

    def head(self, status: int, headers: Headers, *, keeps: bool) -> bytes:
        """The head of an answer.

        Raises:
            ValueError: a header would end it.
        """
        status_line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
        lines = header_lines(headers if keeps else [*headers, (b"connection", b"close")])
        return b"%b%bdate: %b\r\n\r\n" % (status_line, lines, self.server.date)

    def leave(self) -> None:
        """Close the connection when it is idle."""
        if not self._exchanges:
            self.transport.close()

    def cut(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def look(self, idle_since: float, since: float) -> None:
        """End what has been idle since then, or a request that was under way then already."""
        if self._exchanges:
            if self._exchanges[0].began < since:
                self._exchanges[0].late()
        elif self._idle_since < idle_since:
            self.transport.close()
