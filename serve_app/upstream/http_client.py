"""HTTP/1.1 to one server, whose answers are passed on as they come: connections that stay open, and little else.

aiohttp takes 4.4 times the processor time for it (161 instead of 37 microseconds a request; benchmarks/NOTES.md), which
every request here would pay.
"""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httptools
from typing_extensions import Self, override
from yarl import URL

from serve_app.protocol.deadlines import UNLIMITED, TimeLimit
from serve_app.protocol.messages import Body, Headers, Request, Response
from serve_app.protocol.timers import Timer, Timers
from serve_app.upstream.base import BrokenOffError

_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"})
"""Headers that end at each hop (RFC 9110, section 7.6.1), and Host, which names the next one."""

_FRAMING = frozenset({b"content-length", b"content-type", b"content-encoding", b"api-key", b"authorization"})
"""What a caller cannot have dropped by naming it in Connection: who asks, and how its body is to be read."""

_PROXYS = b"proxy-"
"""How names of headers begin that are for proxies."""

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_CONNECT_S = 5.0
_IDLE_S = 3.0
"""How long a connection is kept that nobody uses: less than servers do (actix, which Qdrant is built on, 5 s)."""

_BUFFERED = 256 * 1024
"""Bytes of an answer that may wait for the one who reads it, before the server has to."""

_PIECE = 256 * 1024
"""Bytes of a body that are handed to the transport at once, which copies what it cannot send yet."""


class NotSentError(Exception):
    """No connection came about: the server has seen nothing of the request."""


class TimeOverError(Exception):
    """The request's time was over before the answer's end; it may have been carried out."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(waited_s)
        self.waited_s = waited_s


class HttpClient:
    """A pool of connections to the server at `url`."""

    def __init__(self, url: URL, context: ssl.SSLContext | None = None) -> None:
        """`context` is for https: whose certificates are trusted."""
        self._url = url
        self._context = context if url.scheme == "https" else None
        self._prefix = url.raw_path.rstrip("/")
        self._headers = [(b"host", url.authority.rpartition("@")[2].encode())]
        if url.user is not None:
            credentials = base64.b64encode(f"{url.user}:{url.password or ''}".encode())
            self._headers.append((b"authorization", b"Basic " + credentials))
        self._idle: list[_Connection] = []
        self._timers = Timers()

    async def send(self, request: Request) -> Response:
        """The answer to a request, its body still coming in if it is not short.

        Raises:
            NotSentError: the server cannot be reached.
            BrokenOffError: it hung up before it answered.
            TimeOverError: it did not answer in the time that the request gives it.
        """
        connection = self._reusable()
        if connection is not None:
            try:
                return await connection.exchange(self._head(request), request)
            except BrokenOffError:
                # The server may have closed the connection at the moment in which we took it.
                if connection.answering or request.method not in _IDEMPOTENT or not isinstance(request.body, bytes):
                    raise
        return await (await self._connect(request.time)).exchange(self._head(request), request)

    def _reusable(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive and time.monotonic() - connection.idle_since < _IDLE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self, limit: TimeLimit) -> _Connection:
        host, port = str(self._url.host), int(self._url.port or 0)
        connecting = asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._idle, self._timers), host, port, ssl=self._context
        )
        try:
            _, connection = await asyncio.wait_for(connecting, min(_CONNECT_S, limit.left_s))
        except (OSError, asyncio.TimeoutError) as error:
            raise NotSentError(type(error).__name__) from error
        return connection

    def _head(self, request: Request) -> bytes:
        """The request line and the headers."""
        query = f"?{request.query}" if request.query else ""
        headers = _end_to_end([(name.lower(), value) for name, value in request.headers])
        names = {name for name, _ in headers}
        lines = [f"{request.method} {self._prefix}{request.path}{query} HTTP/1.1".encode("latin-1")]
        lines += [name + b": " + value for name, value in self._headers if name not in names]
        lines += [name + b": " + value for name, value in headers]
        if b"content-length" not in names:
            if not isinstance(request.body, bytes):
                lines.append(b"transfer-encoding: chunked")
            elif request.body or request.method in {"POST", "PUT", "PATCH"}:
                lines.append(b"content-length: %d" % len(request.body))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def close(self) -> None:
        """End the connections that nobody uses."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()


def _end_to_end(headers: Headers) -> Headers:
    """The headers that do not end at this hop: neither by their names, nor because Connection names them."""
    named = [value for name, value in headers if name == b"connection"]
    dropped = _HOP_BY_HOP | (_listed(named) - _FRAMING) if named else _HOP_BY_HOP
    return [pair for pair in headers if pair[0] not in dropped and pair[0][:6] != _PROXYS]


def _listed(values: Sequence[bytes]) -> set[bytes]:
    return {name.strip().lower() for value in values for name in value.split(b",")}


async def _pieces(body: Body) -> AsyncIterator[bytes | memoryview]:
    """A body as it comes in; a long one in pieces, of which the transport keeps no more than one."""
    if isinstance(body, bytes):
        whole = memoryview(body)
        for start in range(0, len(body), _PIECE):
            yield whole[start : start + _PIECE]
    else:
        async for part in body:
            yield part


class _Connection(asyncio.Protocol):
    """One connection, with one exchange at a time; it goes back to `idle` by itself."""

    def __init__(self, idle: list[_Connection], timers: Timers) -> None:
        self._idle = idle
        self._timers = timers
        self._transport: Any = None
        self._writable: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser: Any = None
        self._limit = UNLIMITED
        self._timer: Timer | None = None
        self._late = False
        self.alive = False
        self.idle_since = 0.0

    async def exchange(self, head: bytes, request: Request) -> Response:
        """Send a request and wait for the answer's head."""
        self._begin(request)
        try:
            if isinstance(request.body, bytes) and len(request.body) <= _PIECE:
                self._transport.write(head + request.body)
                await self._progress()
            else:
                await self._stream(head, _pieces(request.body), chunked=b"transfer-encoding: chunked" in head)
            while not self.answering:
                self._expect_alive()
                await self._progress()
        except BaseException:
            self.abort()
            raise
        headers = _end_to_end(self._headers)
        if not self._complete:
            return Response(self._status, headers, _Parts(self))
        body = b"".join(self._chunks)
        self.release()
        return Response(self._status, headers, body)

    def _begin(self, request: Request) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._method = request.method
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._complete = False
        self._head_ended = False
        self._whole_request_sent = True
        self._reusable = False
        self.answering = False
        self._limit = request.time
        self._began = self._moved = time.monotonic()
        self._watch()

    def _watch(self) -> None:
        """End the exchange if its time is over; if not, look again when it will be, should nothing move until then."""
        now = time.monotonic()
        over = self._moved + self._limit.idle_timeout_s
        if not self.answering:
            over = min(over, self._limit.until)
        if over <= now:
            self._late = True
            self.abort()
        elif over < math.inf:
            self._timer = self._timers.at(over, self._watch)

    async def _stream(self, head: bytes, body: AsyncIterator[bytes | memoryview], *, chunked: bool) -> None:
        """Send a body as it comes in, and stop if the server answers before its end."""
        self._whole_request_sent = False
        sending = asyncio.ensure_future(self._send_parts(head, body, chunked=chunked))
        try:
            while not self.answering and not sending.done():
                self._expect_alive()
                self._waiter = asyncio.get_running_loop().create_future()
                await asyncio.wait({sending, self._waiter}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                self._whole_request_sent = True
        finally:
            sending.cancel()

    async def _send_parts(self, head: bytes, body: AsyncIterator[bytes | memoryview], *, chunked: bool) -> None:
        self._transport.write(head)
        async for part in body:
            if part:
                self._transport.write(b"%x\r\n%b\r\n" % (len(part), bytes(part)) if chunked else part)
            if self._writable is not None:
                await self._writable
            self._moved = time.monotonic()
        if chunked:
            self._transport.write(b"0\r\n\r\n")

    def _expect_alive(self) -> None:
        if self._late:
            raise TimeOverError(time.monotonic() - self._began)
        if not self.alive:
            raise BrokenOffError

    async def _progress(self) -> None:
        """Wait until something has come in, or the connection has ended."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    async def next_part(self) -> bytes | None:
        """The next part of the answer's body, or None at its end.

        Raises:
            BrokenOffError: the server hung up before it.
            TimeOverError: nothing has come in for too long.
        """
        self._moved = time.monotonic()
        while not self._chunks:
            if self._complete:
                return None
            self._expect_alive()
            await self._progress()
        part = self._chunks.popleft()
        self._waiting_bytes -= len(part)
        if self._waiting_bytes <= _BUFFERED:
            self._transport.resume_reading()
        return part

    def release(self) -> None:
        """Keep the connection for another request, if both sides are done with this one."""
        self._stop_watching()
        if self.alive and self._whole_request_sent and self._reusable:
            self.idle_since = time.monotonic()
            self._parser = None
            self._idle.append(self)
        else:
            self.abort()

    def abort(self) -> None:
        """End the connection."""
        self._stop_watching()
        self.alive = False
        self._transport.abort()

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.alive = True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self in self._idle:
            self._idle.remove(self)
        if self.answering and not self._late and not self._has_length():
            self._complete = True
        self.resume_writing()
        self._wake()

    @override
    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    @override
    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    @override
    def data_received(self, data: bytes) -> None:
        if self._parser is None:  # nobody asked for anything
            self.abort()
            return
        self._moved = time.monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        if self._waiting_bytes > _BUFFERED and not self._complete:
            self._transport.pause_reading()
        self._wake()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._complete:
            self._has_surplus()

    def _has_surplus(self) -> None:
        """What comes after the end of an answer belongs to no request: it is not read, and the connection ends."""
        self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, for what comes after a chunked body too; that is no header."""
        if not self._head_ended:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser; an informational answer (1xx) comes before the real one."""
        if self._complete:
            return
        self._head_ended = True
        self._status = self._parser.get_status_code()
        self.answering = self._status >= 200  # noqa: PLR2004  where final statuses begin
        self._reusable = self._parser.should_keep_alive()
        self._complete = self.answering and self._method == "HEAD"

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        if self._complete:
            self._has_surplus()
            return
        self._chunks.append(part)
        self._waiting_bytes += len(part)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self.answering:
            self._complete = True
        else:
            self._headers.clear()
            self._head_ended = False

    def _has_length(self) -> bool:
        """Whether the answer says where it ends; else it ends with the connection."""
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self._headers)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Parts:
    """The body of an answer that is still coming in. When it is dropped before its end, so is the connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection: _Connection | None = connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._connection is None:
            raise StopAsyncIteration
        part = await self._connection.next_part()
        if part is None:
            self._connection.release()
            self._connection = None
            raise StopAsyncIteration
        return part

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.abort()
