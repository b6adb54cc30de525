"""One HTTP request and its answer, between a connection and an ASGI app."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

import httptools

log = logging.getLogger("ray.serve")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_BODILESS = frozenset({204, 304})


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport

    @property
    def writable(self) -> asyncio.Future[None] | None:
        """Done once the caller has taken enough of what was written; None if it has."""

    @property
    def is_leaving(self) -> bool:
        """Whether it takes no further request."""

    def head(self, status: int, headers: Headers, *, keeps: bool) -> bytes:
        """The head of an answer. Raises ValueError if a header would end it."""

    def refuse(self, status: int, message: str) -> None:
        """Write an answer of the server's own, after which the connection ends."""

    def pace(self) -> None:
        """Read on, or not, by what waits for the app."""

    def answered(self, exchange: Exchange) -> None:
        """The exchange is over."""

    def cut(self) -> None:
        """End the connection at once."""


class Exchange:
    """A request and its answer, as ASGI has them.

    `began` is by `time.monotonic()`; `buffered` are the bytes of the body that wait for the app.
    """

    def __init__(self, connection: Connection, app: App, scope: Scope, *, keeps: bool) -> None:
        """`keeps`: whether the connection may stay open after the answer."""
        self.keeps = keeps
        self.began = time.monotonic()
        self.buffered = 0
        self._connection = connection
        self._app = app
        self._scope = scope
        self._has_gone_on = False
        self._parts: list[bytes] = []
        self._is_whole = False
        self._news: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._hung_up = self._is_late = False
        self._start: Message = {}
        self._last: list[bytes] = []
        self._left = 0
        self._has_body = self._is_chunked = self._is_begun = self._is_done = False

    def start(self) -> None:
        """Have the app answer it."""
        self._task = asyncio.get_running_loop().create_task(self._answer())

    def fed(self, part: bytes) -> None:
        """A part of the body is there."""
        if not self._is_done:
            self._parts.append(part)
            self.buffered += len(part)
            self._tell()

    def whole(self) -> None:
        """All of it is there."""
        self._is_whole = True
        self._tell()

    def hung_up(self) -> None:
        """Nobody waits for the answer any more."""
        self._hung_up = True
        if self._task:
            self._task.cancel()

    def late(self) -> None:
        """The answer has taken too long."""
        self._is_late = True
        if self._task:
            self._task.cancel()

    def _tell(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    async def _answer(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except asyncio.CancelledError:
            if self._hung_up:
                return
        except Exception as error:  # noqa: BLE001  whatever it is, the caller has to hear of it
            log.error("a request was not answered: %s", type(error).__name__)  # noqa: TRY400  its text may hold what came
        if not self._is_done:
            self._fail()
        self._forget_body()
        self._connection.answered(self)

    def _fail(self) -> None:
        """Answer in the app's place, or let the caller see that what it has is not the whole answer."""
        self.keeps = False
        self._is_done = True
        if self._is_begun:
            self._connection.cut()
        elif self._is_late:
            self._connection.refuse(408, "the answer took longer than any may")
        else:
            self._connection.refuse(500, "an internal error; the server's log has its origin")

    async def _receive(self) -> Message:
        """The next part of the body. Who hangs up has the app cancelled, so it is not told."""
        if not self._parts and not self._is_whole:
            if not self._has_gone_on and _waits_for_go_on(self._scope):
                self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._has_gone_on = True
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._forget_body()
        self._connection.pace()
        return {"type": "http.request", "body": body, "more_body": not self._is_whole}

    def _forget_body(self) -> None:
        """Of what has come of it so far."""
        self._parts.clear()
        self.buffered = 0

    async def _send(self, message: Message) -> None:
        """Write what the app answers, the head with the first part of the body, and trailers with the last."""
        connection = self._connection
        if connection.writable:
            await connection.writable
        if message["type"] == "http.response.start":
            self._start = message
            return
        parts, goes_on = self._last, message.get("more_body", False)
        self._last = []
        if not self._is_begun:
            parts.append(self._begin())
        if message["type"] == "http.response.trailers":
            parts += [b"0\r\n", header_lines(message["headers"]), b"\r\n"] if self._is_chunked else []
        else:
            parts += self._written(message.get("body", b""), goes_on=goes_on)
            if not goes_on and self._start.get("trailers", False):
                self._last = parts
                return
        connection.transport.writelines(parts)
        self._is_done = not goes_on
        if self._is_done and self._left and self.keeps:
            connection.cut()  # the head told another length: what follows would be taken for a part of this answer

    def _written(self, body: bytes, *, goes_on: bool) -> list[bytes]:
        """A part of the body, as it is written."""
        if self._is_chunked:
            part = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            return part if goes_on or self._start.get("trailers", False) else [*part, b"0\r\n\r\n"]
        if self._has_body:
            self._left -= len(body)
            return [body]
        return []

    def _begin(self) -> bytes:
        status, headers = self._start["status"], self._start["headers"]
        self._has_body = self._scope["method"] != "HEAD" and status not in _BODILESS
        if self._has_body:
            told = [int(value) for name, value in headers if name == b"content-length"]
            self._left = sum(told)
            self._is_chunked = not told and self._scope["http_version"] == "1.1"
            self.keeps = self.keeps and (bool(told) or self._is_chunked)
        if not (self._is_whole or self._has_gone_on) and _waits_for_go_on(self._scope):
            self.keeps = False  # nobody knows whether the body will come after all
        self.keeps = self.keeps and not self._connection.is_leaving
        more = [(b"transfer-encoding", b"chunked")] if self._is_chunked else []
        head = self._connection.head(status, [*headers, *more], keeps=self.keeps)
        self._is_begun = True
        return head


def header_lines(headers: Headers) -> bytes:
    """Headers as they are written.

    Raises:
        ValueError: one of them has a line break.
    """
    lines = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise ValueError("a header has a line break")
    return lines


def _waits_for_go_on(scope: Scope) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])


def scope_of(method: str, version: str, url: bytes, headers: Headers) -> Scope:
    """A request's head, as ASGI has it.

    Raises:
        httptools.HttpParserInvalidURLError: the URL is none.
    """
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path or b"/", parsed.query or b""
    path = raw_path.decode("latin-1")
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": version,
        "method": method,
        "scheme": "http",
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
    }
