"""One HTTP/2 connection of a client's, with as many calls at a time as the server allows."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any

from typing_extensions import override

from serve_app.protocol.messages import Headers
from serve_app.upstream import http2_frames as h2
from serve_app.upstream.base import BrokenOffError
from serve_app.upstream.http2_frames import Frame, ProtocolError

_MOST_HEADERS = 64 * 1024
_FRAME = 1024 * 1024
"""Bytes of a frame that the server may send: fewer frames of a long answer."""

_TOP_UP = 2**30
"""Bytes of answers after which the server may send as many more."""

_FIRST_WINDOW = 65535
"""Bytes that either side may send before it has heard anything (RFC 9113, section 6.9.2)."""

_SILENCE_MS = 20_000
"""After how long without a word of the server's machine, not even that something has come, the connection ends.

Else all calls would go on being sent to a machine that is there no longer, for a quarter of an hour.
"""

_OPENING = (
    h2.PREFACE
    + h2.settings(
        [
            (h2.HEADER_TABLE_SIZE, 0),
            (h2.ENABLE_PUSH, 0),
            (h2.INITIAL_WINDOW_SIZE, h2.MOST_WINDOW),
            (h2.MAX_FRAME_SIZE, _FRAME),
        ]
    )
    + h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.number(h2.MOST_WINDOW - _FIRST_WINDOW))
)
"""What a client says first. An answer is kept whole here anyway, so no window keeps the server from sending it."""


class NotTakenError(Exception):
    """The server has not looked at a call, and says so; or none can be begun on this connection any more."""


class ResetError(Exception):
    """The server ended a call without an answer; `code` is HTTP/2's."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class TooLongError(Exception):
    """An answer has more bytes than it may have."""


class Exchange:
    """A request that was sent, and its answer so far. `head` and `trailers` are the same if there is no body."""

    __slots__ = ("_done", "body", "head", "size", "trailers", "window")

    def __init__(self, window: int) -> None:
        self.head: Headers | None = None
        self.trailers: Headers = ()
        self.body: list[bytes] = []
        self.size = 0
        self.window = window
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._done.done()

    async def whole(self) -> None:
        """Wait for the end of the answer. Raises what `fail` was told."""
        await self._done

    def finish(self) -> None:
        """The answer is whole."""
        if not self._done.done():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        """There will be none."""
        if not self._done.done():
            self._done.set_exception(error)
            self._done.exception()  # who has given it up need not hear of it


class Connection(asyncio.Protocol):
    """A connection, which is `ready` once the server has told its settings."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` is how long an answer may be."""
        self._most_bytes = most_bytes
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: Any = None
        self._exchanges: dict[int, Exchange] = {}
        self._next = 1
        self._is_closing = False
        self._rest = b""
        self._blocks = h2.HeaderBlocks(_MOST_HEADERS)
        self._block: tuple[Frame, list[bytes]] | None = None
        self._unasked = 0
        self._window = _FIRST_WINDOW
        self._first_window = _FIRST_WINDOW
        self._frame = h2.LEAST_FRAME
        self._most_exchanges = float("inf")
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._moves: asyncio.Future[None] | None = None
        self._is_full = False
        self._takes = {
            h2.DATA: self._take_data,
            h2.HEADERS: self._take_headers,
            h2.CONTINUATION: self._take_headers,
            h2.WINDOW_UPDATE: self._take_window,
            h2.SETTINGS: self._take_settings,
            h2.PING: self._take_ping,
            h2.RST_STREAM: self._take_reset,
            h2.GOAWAY: self._take_farewell,
            h2.PUSH_PROMISE: self._take_push,
        }

    @property
    def is_open(self) -> bool:
        """Whether calls can be begun on it."""
        return not self._is_closing

    async def ask(self, block: bytes, body: bytes) -> Exchange:
        """Send a request, its header block and its body, and wait for the whole answer.

        Raises:
            NotTakenError, BrokenOffError, ResetError, TooLongError: there is none.
        """
        while len(self._exchanges) >= self._most_exchanges and self.is_open:
            await self._turn()
        if not self.is_open:
            raise NotTakenError
        number, exchange = self._next, Exchange(self._first_window)
        self._next += 2
        self._is_closing = self._next > h2.LAST_STREAM
        self._exchanges[number] = exchange
        try:
            head = h2.header_frames(number, block, self._frame)
            if len(body) <= min(self._frame, self._window, exchange.window) and not self._is_full:
                self._window -= len(body)
                self._transport.write(head + h2.frame(h2.DATA, h2.END_STREAM, number, body))
            else:
                self._transport.write(head)
                await self._send(number, exchange, body)
            await exchange.whole()
        except (asyncio.CancelledError, TooLongError):
            self._reset(number)
            raise
        finally:
            self._exchanges.pop(number, None)
            self._next_turn()
            self._end_if_idle()
        return exchange

    async def _turn(self) -> None:
        """Wait until one exchange less is under way."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done():
                self._next_turn()
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _next_turn(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                break

    async def _send(self, number: int, exchange: Exchange, body: bytes) -> None:
        """Send a body as the server's windows and the network let it, or until there is an answer without it."""
        rest = memoryview(body)
        while not exchange.is_over:
            size = min(len(rest), self._frame, self._window, exchange.window)
            if self._is_full or size <= 0:
                await self._moved()
                continue
            part, rest = rest[:size], rest[size:]
            self._window -= size
            exchange.window -= size
            self._transport.write(h2.frame(h2.DATA, 0 if rest else h2.END_STREAM, number, bytes(part)))
            if not rest:
                return
        self._reset(number)

    async def _moved(self) -> None:
        """Wait until a window is wider, the network takes more, or something has ended."""
        if self._moves is None:
            self._moves = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moves)

    def _move(self) -> None:
        if self._moves:
            self._moves.set_result(None)
            self._moves = None

    def _reset(self, number: int) -> None:
        if number in self._exchanges and not self._transport.is_closing():
            self._transport.write(h2.frame(h2.RST_STREAM, 0, number, h2.number(h2.CANCEL)))

    def leave(self) -> None:
        """Begin no more calls, and end when those that are under way are answered."""
        self._is_closing = True
        while self._waiting:
            self._next_turn()
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._is_closing and not self._exchanges:
            self._transport.close()

    @override
    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
        transport.write(_OPENING)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("it ended before it began"))
            self.ready.exception()
        for exchange in self._exchanges.values():
            exchange.fail(BrokenOffError())
        self.leave()
        self._move()

    @override
    def pause_writing(self) -> None:
        self._is_full = True

    @override
    def resume_writing(self) -> None:
        self._is_full = False
        self._move()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            got, self._rest = h2.frames(self._rest + data if self._rest else data, _FRAME)
            for one in got:
                self._take(one)
        except ProtocolError:
            self._transport.write(h2.frame(h2.GOAWAY, 0, 0, h2.number(0) + h2.number(h2.PROTOCOL_ERROR)))
            self._transport.close()
            self.connection_lost(None)

    def _take(self, got: Frame) -> None:
        kind = got.kind
        if self._block and (kind != h2.CONTINUATION or got.stream != self._block[0].stream):
            raise ProtocolError("a header block that does not end")
        if not self.ready.done() and kind != h2.SETTINGS:
            raise ProtocolError("no settings")
        if take := self._takes.get(kind):  # of others nothing need be known
            take(got)

    def _take_data(self, got: Frame) -> None:
        self._unasked += len(got.body)
        if self._unasked > _TOP_UP:
            self._transport.write(h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.number(self._unasked)))
            self._unasked = 0
        exchange = self._exchanges.get(got.stream)
        if exchange is None:
            return  # it was given up
        body = h2.without_padding(got)
        exchange.size += len(body)
        if exchange.size > self._most_bytes:
            exchange.fail(TooLongError())
        elif body:
            exchange.body.append(body)
        if got.flags & h2.END_STREAM:
            exchange.finish()
            self._move()

    def _take_headers(self, got: Frame) -> None:
        if got.kind == h2.HEADERS:
            self._block = got, [h2.without_padding(got)]
        elif self._block is None:
            raise ProtocolError("no header block to go on with")
        else:
            self._block[1].append(got.body)
        first, parts = self._block
        if sum(map(len, parts)) > _MOST_HEADERS:
            raise ProtocolError("a header block that is too long")
        if got.flags & h2.END_HEADERS:
            self._block = None
            self._take_block(first, self._blocks.read(b"".join(parts)))

    def _take_block(self, first: Frame, headers: Headers) -> None:
        exchange = self._exchanges.get(first.stream)
        if exchange is None:
            return
        if exchange.head is None:
            if not first.flags & h2.END_STREAM and _is_informational(headers):
                return
            exchange.head = headers
        exchange.trailers = headers
        if first.flags & h2.END_STREAM:
            exchange.finish()
            self._move()

    def _take_settings(self, got: Frame) -> None:
        if got.flags & h2.ACK:
            return
        for name, value in h2.settings_of(got.body):
            if name == h2.MAX_FRAME_SIZE:
                self._frame = max(h2.LEAST_FRAME, value)
            elif name == h2.MAX_CONCURRENT_STREAMS:
                self._most_exchanges = value
            elif name == h2.INITIAL_WINDOW_SIZE:
                for exchange in self._exchanges.values():
                    exchange.window += value - self._first_window
                self._first_window = value
        self._transport.write(h2.frame(h2.SETTINGS, h2.ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)
        self._move()

    def _take_window(self, got: Frame) -> None:
        by = h2.number_of(got.body)
        if not got.stream:
            self._window += by
        elif exchange := self._exchanges.get(got.stream):
            exchange.window += by
        self._move()

    def _take_ping(self, got: Frame) -> None:
        if not got.flags & h2.ACK:
            self._transport.write(h2.frame(h2.PING, h2.ACK, 0, got.body))

    def _take_reset(self, got: Frame) -> None:
        code = h2.number_of(got.body)
        if exchange := self._exchanges.get(got.stream):
            exchange.fail(NotTakenError() if code == h2.REFUSED_STREAM else ResetError(code))
            self._move()

    def _take_farewell(self, got: Frame) -> None:
        """The server takes no more calls; those beyond the number that it names it has not looked at."""
        last = h2.number_of(got.body)
        for number, exchange in self._exchanges.items():
            if number > last:
                exchange.fail(NotTakenError())
        self.leave()
        self._move()

    def _take_push(self, _: Frame) -> None:
        raise ProtocolError("a push, which was not asked for")


def _is_informational(headers: Headers) -> bool:
    return any(name == b":status" and value.startswith(b"1") for name, value in headers)
