"""Calls of the gRPC methods of one Qdrant server, from bytes to bytes, over HTTP/2 connections of our own.

A call by grpc.aio takes several times the processor time, and the library `h2` more than that (benchmarks/NOTES.md).

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import unquote

import grpc
from typing_extensions import override
from yarl import URL

from serve_app.protocol.grpc_framing import PREFIX_BYTES, bytes_of_header, framed, header_of, prefix_of
from serve_app.protocol.messages import Headers, Metadata, Reply
from serve_app.protocol.timers import Timers
from serve_app.upstream import http2_frames as h2
from serve_app.upstream.base import BrokenOffError
from serve_app.upstream.http2_connection import (
    Connection,
    Exchange,
    NotTakenError,
    ResetError,
    TooLongError,
)

_MAX_MESSAGE = 256 * 1024 * 1024
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0
"""Between two tries to connect, after the first failure and after many."""

_CONNECT_S = 20.0
_GRACE_S = 1.0
"""Longer than a call may take here is what the server is told, so that it does not say so first in its own words."""

_Code = grpc.StatusCode
_CODES = {code.value[0]: code for code in _Code}
_OF_RESETS = {
    h2.CANCEL: _Code.CANCELLED,
    h2.ENHANCE_YOUR_CALM: _Code.RESOURCE_EXHAUSTED,
    h2.INADEQUATE_SECURITY: _Code.PERMISSION_DENIED,
}
_OF_HTTP: dict[int, grpc.StatusCode] = {
    HTTPStatus.BAD_REQUEST: _Code.INTERNAL,
    HTTPStatus.UNAUTHORIZED: _Code.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: _Code.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: _Code.UNIMPLEMENTED,
    HTTPStatus.TOO_MANY_REQUESTS: _Code.UNAVAILABLE,
    HTTPStatus.BAD_GATEWAY: _Code.UNAVAILABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: _Code.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: _Code.UNAVAILABLE,
}
"""What a call came to if the answer is no gRPC (doc/http-grpc-status-mapping.md in gRPC's repository)."""


class CallError(Exception):
    """A call ended with another status than OK. `is_told`: the server itself said so, and `metadata` with it."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Metadata = (), *, is_told: bool = False) -> None:
        super().__init__(code, details, metadata, is_told)
        self.code = code
        self.details = details
        self.metadata = metadata
        self.is_told = is_told

    @override
    def __str__(self) -> str:
        return f"{self.code.name}: {self.details}"


class Channel:
    """The way to one server: a connection, and the next one once that ends."""

    def __init__(self, url: URL, context: ssl.SSLContext | None) -> None:
        """`context` is for https: whose certificates are trusted."""
        self._url = url
        self._context = context if url.scheme == "https" else None
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._has_failed = False
        self._timers = Timers()
        self._starts: dict[str, bytes] = {}

    async def call(self, method: str, message: bytes, metadata: Metadata, timeout_s: float | None) -> Reply:
        """Call a method by its full name, and wait at most so long.

        Raises:
            CallError: it did not succeed.
        """
        timer = self._timers.of_this_task(math.inf if timeout_s is None else time.monotonic() + timeout_s)
        try:
            return _reply(await self._exchange(method, message, metadata, timeout_s))
        except asyncio.CancelledError:
            if timer.alone_cancelled():
                raise CallError(_Code.DEADLINE_EXCEEDED, "the time is over") from None
            raise
        except ValueError as error:
            raise CallError(_Code.INTERNAL, f"the answer's metadata: {error}") from error
        except ResetError as error:
            code = _OF_RESETS.get(error.code, _Code.INTERNAL)
            raise CallError(code, f"the server ended the call with the code {error.code} of HTTP/2") from error
        except TooLongError as error:
            raise CallError(_Code.RESOURCE_EXHAUSTED, f"an answer may have {_MAX_MESSAGE} bytes") from error
        except (BrokenOffError, NotTakenError) as error:
            raise CallError(_Code.UNAVAILABLE, "the connection has ended") from error
        finally:
            timer.cancel()

    async def _exchange(self, method: str, message: bytes, metadata: Metadata, timeout_s: float | None) -> Exchange:
        """Ask the server; once more if it has not looked at the call."""
        start = self._starts.get(method) or self._start(method)
        block = start + b"".join([h2.literal(name.encode(), header_of(name, value)) for name, value in metadata])
        if timeout_s is not None:
            block += h2.literal(b"grpc-timeout", _timeout(timeout_s + _GRACE_S))
        body = framed(message)
        for _ in range(2):
            if not await self.connects(_CONNECT_S) or not self._connection:
                break
            with suppress(NotTakenError):
                return await self._connection.ask(block, body)
        raise NotTakenError

    def _start(self, method: str) -> bytes:
        """The part of a call's header block that is the same for all calls of a method."""
        headers = [
            (":method", "POST"),
            (":scheme", self._url.scheme),
            (":path", method),
            (":authority", f"{self._url.host}:{self._url.port}"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "qdrant-inference"),
        ]
        start = b"".join([h2.literal(name.encode(), value.encode()) for name, value in headers])
        self._starts[method] = start
        return start

    async def connects(self, patience_s: float) -> bool:
        """Whether there is a connection, after waiting for one that is on its way.

        After a failure it is tried again, at most a second later; until it succeeds the channel is not waited for.
        """
        if self._connection and self._connection.is_open:
            return True
        if not self._connecting:
            self._connecting = asyncio.create_task(self._connect())
        if not self._has_failed:
            await asyncio.wait([self._connecting], timeout=patience_s)
        return bool(self._connection and self._connection.is_open)

    async def _connect(self) -> None:
        """Try until there is a connection; who waits for it waits for the first try only."""
        try:
            self._has_failed = not await self._try()
        finally:
            self._connecting = None
        if self._has_failed:
            self._connecting = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        wait_s = _FIRST_WAIT_S
        try:
            while self._has_failed:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                self._has_failed = not await self._try()
        finally:
            self._connecting = None

    async def _try(self) -> bool:
        connecting = asyncio.get_running_loop().create_connection(
            lambda: Connection(PREFIX_BYTES + _MAX_MESSAGE), str(self._url.host), self._url.port or 0, ssl=self._context
        )
        try:
            transport, connection = await asyncio.wait_for(connecting, _CONNECT_S)
        except (OSError, asyncio.TimeoutError):
            return False
        try:
            await asyncio.wait_for(connection.ready, _CONNECT_S)
        except (ConnectionError, asyncio.TimeoutError):
            return False
        else:
            self._connection = connection
            return True
        finally:
            if self._connection is not connection:
                transport.abort()

    async def close(self) -> None:
        """End the connection, when the calls under way are answered."""
        if self._connecting:
            self._connecting.cancel()
        if self._connection:
            self._connection.leave()


def _reply(exchange: Exchange) -> Reply:
    """What a whole answer says.

    Raises:
        CallError: something else than OK.
    """
    head = exchange.head or ()
    status = _value(head, b":status")
    if status != b"200":
        code = _OF_HTTP.get(int(status), _Code.UNKNOWN) if status.isdigit() else _Code.UNKNOWN
        raise CallError(code, f"an answer of HTTP with the status {status.decode('latin-1')}")
    metadata = _metadata(exchange.trailers if exchange.trailers is head else [*head, *exchange.trailers])
    told = _value(exchange.trailers, b"grpc-status")
    code = _CODES.get(int(told), _Code.UNKNOWN) if told.isdigit() else _Code.UNKNOWN
    if code is not _Code.OK:
        details = unquote(_value(exchange.trailers, b"grpc-message").decode("latin-1"))
        raise CallError(code, details, metadata, is_told=True)
    return Reply(_message(exchange.body), metadata)


def _message(body: Sequence[bytes]) -> bytes:
    """The one message of an answer."""
    whole = body[0] if len(body) == 1 else b"".join(body)
    with suppress(ValueError):
        if prefix_of(whole) == (False, len(whole) - PREFIX_BYTES):
            return whole[PREFIX_BYTES:]
    raise CallError(_Code.INTERNAL, "the answer is not one message as it is")


def _value(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


def _metadata(headers: Headers) -> Metadata:
    return [
        (name.decode("latin-1"), bytes_of_header(value) if name.endswith(b"-bin") else value.decode("latin-1"))
        for name, value in headers
        if not name.startswith((b":", b"grpc-")) and name != b"content-type"
    ]


def _timeout(seconds: float) -> bytes:
    """A deadline as gRPC writes it, with at most eight digits; no longer than it is."""
    milliseconds = max(0, int(seconds * 1000))
    if milliseconds < 10**8:
        return b"%dm" % milliseconds
    return b"%dS" % min(int(seconds), 10**8 - 1)
