"""Calls of the gRPC methods of one Qdrant server, from bytes to bytes.

A call of `grpc.aio` is a task, an entry in a set of weak references and three objects of metadata around what its
extension module does; that is a third of the instructions that a call takes here. So the extension module is called.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc.aio
from typing_extensions import override
from yarl import URL

from serve_app.protocol.messages import Metadata, Reply

_MAX_MESSAGE = 256 * 1024 * 1024
_OPTIONS = [
    ("grpc.max_send_message_length", _MAX_MESSAGE),
    ("grpc.max_receive_message_length", _MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_State = grpc.ChannelConnectivity
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallError(Exception):
    """A call ended with another status than OK. `trailers` are empty unless the server itself said so."""

    def __init__(self, code: grpc.StatusCode, details: str, head: Metadata, trailers: Metadata) -> None:
        super().__init__(code, details, head, trailers)
        self.code = code
        self.details = details
        self.head = head
        self.trailers = trailers

    @override
    def __str__(self) -> str:
        return f"{self.code.name}: {self.details}"


class Channel:
    """The connection to one server."""

    def __init__(self, url: URL, trusted: bytes | None) -> None:
        address = f"{url.host}:{url.port}"
        self._channel = (
            grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(trusted), _OPTIONS)
            if url.scheme == "https"
            else grpc.aio.insecure_channel(address, _OPTIONS)
        )
        self._calls: Any = self._channel._channel  # type: ignore[attr-defined]  # noqa: SLF001

    async def call(self, method: str, message: bytes, metadata: Metadata, timeout_s: float | None) -> Reply:
        """Call a method by its full name, and wait at most so long.

        Raises:
            CallError: it did not succeed.
        """
        deadline = None if timeout_s is None else time.time() + timeout_s
        call = self._calls.call(method.encode(), deadline, None, None)
        try:
            answer: bytes | None = await call.unary_unary(message, tuple(metadata), None)
        except asyncio.CancelledError:
            call.cancel("its caller has given up")
            raise
        head, status = await call.initial_metadata() or (), await call.status()
        trailers = status.trailing_metadata() or ()
        if not call.is_ok() or answer is None:
            raise CallError(_CODES[status.code()], status.details() or "", head, trailers)
        return Reply(answer, (*head, *trailers))

    async def connects(self, patience_s: float) -> bool:
        """Whether there is a connection, after waiting for one that is on its way.

        After a failure gRPC tries again by itself, at most a second later; until then the channel is not waited for.
        """
        state = self._channel.get_state(try_to_connect=True)
        while state is _State.IDLE or state is _State.CONNECTING:
            try:
                await asyncio.wait_for(self._channel.wait_for_state_change(state), patience_s)
            except asyncio.TimeoutError:
                return False
            state = self._channel.get_state(try_to_connect=True)
        return state is _State.READY

    async def close(self) -> None:
        """End the connection, when the calls under way are answered."""
        await self._channel.close()
