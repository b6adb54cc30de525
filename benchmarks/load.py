"""Load on an address of this machine: so many requests at a time, for so long; what each took.

A generator shares the machine with what it measures. So this one sends requests that were made beforehand, over
connections that stay open, and reads no more of an answer than it must.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import httptools
import numpy as np
import uvloop

Send = Callable[[], Awaitable[int | str]]
"""Sends one request, waits for its answer, and gives its status."""


@dataclass
class Outcome:
    """What became of all requests: `seconds` of each, their statuses, and how long it took in all."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int | str] = field(default_factory=Counter)
    elapsed: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.elapsed

    def percentile(self, percent: float) -> float:
        """The time that so many percent of the requests took at most, in milliseconds."""
        return float(np.percentile(self.seconds, percent)) * 1000

    def expect(self, status: int | str) -> Outcome:
        """Make sure that every answer had this status: figures of failures mean nothing."""
        if set(self.statuses) != {status}:
            raise RuntimeError(f"expected only {status}, but there were {dict(self.statuses)}")
        return self


async def offer(
    connect: Callable[[], Awaitable[Send]], concurrency: int, seconds: float, limit: int = 10**9
) -> Outcome:
    """Keep `concurrency` requests under way for so long, or until `limit` were sent; those under way are waited for."""
    senders = await asyncio.gather(*(connect() for _ in range(concurrency)))
    outcome = Outcome()
    numbers = itertools.count()
    began = time.perf_counter()

    async def keep_sending(send: Send) -> None:
        while next(numbers) < limit and time.perf_counter() - began < seconds:
            sent = time.perf_counter()
            status = await send()
            outcome.seconds.append(time.perf_counter() - sent)
            outcome.statuses[status] += 1

    await asyncio.gather(*(keep_sending(send) for send in senders))
    outcome.elapsed = time.perf_counter() - began
    return outcome


def processor_time() -> float:
    """What this process has used so far, in seconds."""
    return time.process_time()


def run(coroutine: Any) -> Any:
    """Run a coroutine on a fast event loop."""
    return uvloop.run(coroutine)


class NotSentError(ConnectionError):
    """The connection had been closed before a request was sent over it."""


class _Connection(asyncio.Protocol):
    """One HTTP connection that is kept open, with one request at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._parser: Any = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())

    def connection_lost(self, _: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was closed in the middle of an answer"))

    async def send(self, request: bytes) -> int:
        if self._transport.is_closing():
            raise NotSentError("the connection has been closed")
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


def http_request(method: str, path: str, body: bytes = b"") -> bytes:
    """An HTTP request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def http(port: int, requests: Sequence[bytes]) -> Callable[[], Awaitable[Send]]:
    """Connections to a port of this machine; each takes the next of the requests, and all of them again at the end."""
    following = itertools.cycle(requests)

    async def connect() -> Send:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
        return lambda: connection.send(next(following))

    return connect


def rpc(channel: grpc.aio.Channel, method: str, requests: Sequence[bytes]) -> Callable[[], Awaitable[Send]]:
    """Calls of one method over one channel, with messages that are serialized already."""
    following = itertools.cycle(requests)
    invoke: Any = channel.unary_unary(method, request_serializer=None, response_deserializer=None)

    async def send() -> str:
        try:
            await invoke(next(following))
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    async def connect() -> Send:
        return send

    return connect
