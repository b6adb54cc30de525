"""A server of HTTP/2 by the library `h2`, which minds the protocol, and does with each request what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from typing_extensions import override

OK = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]


@dataclass
class Asked:
    """A request that is whole."""

    stream: int
    headers: dict[bytes, bytes]
    body: bytes = b""


@dataclass
class Server:
    """What its connections do, and what came of it. `settings` are the server's own, by `h2.settings.SettingCodes`."""

    answer: Callable[[Session, Asked], None]
    settings: dict[Any, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    most_at_a_time: int = 0
    takes_bodies: bool = True
    port: int = 0


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.under_way: dict[int, Asked] = {}
        self.waiting: dict[int, bytes] = {}
        self.transport: Any = None
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.state = h2.connection.H2Connection(config)
        self.state.local_settings = h2.settings.Settings(client=False, initial_values=server.settings)
        self.state.max_inbound_frame_size = self.state.local_settings.max_frame_size
        server.sessions.append(self)

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.state.initiate_connection()
        self.flush()

    @override
    def data_received(self, data: bytes) -> None:
        try:
            for event in self.state.receive_data(data):
                self.take(event)
        except Exception as error:  # noqa: BLE001  the test looks for it
            self.server.errors.append(error)
        self.flush()

    def take(self, event: Any) -> None:
        """Do what an event asks for."""
        if isinstance(event, h2.events.RequestReceived):
            self.under_way[event.stream_id] = Asked(event.stream_id, dict(event.headers))
            self.server.most_at_a_time = max(self.server.most_at_a_time, len(self.under_way))
        elif isinstance(event, h2.events.DataReceived):
            self.under_way[event.stream_id].body += event.data
            if self.server.takes_bodies:
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            asked = self.under_way[event.stream_id]
            self.server.asked.append(asked)
            self.server.answer(self, asked)
        elif isinstance(event, h2.events.StreamReset):
            self.under_way.pop(event.stream_id, None)
            self.server.resets.append(event.error_code)
        elif isinstance(event, h2.events.WindowUpdated):
            for stream in list(self.waiting):
                self.send_more(stream)

    def reply(self, asked: Asked, message: bytes) -> None:
        """Answer with a message, as the client's windows let it."""
        self.under_way.pop(asked.stream)
        self.state.send_headers(asked.stream, OK)
        self.waiting[asked.stream] = framed(message)
        self.send_more(asked.stream)

    def send_more(self, stream: int) -> None:
        """Go on with an answer."""
        rest = self.waiting[stream]
        while rest and (room := self.state.local_flow_control_window(stream)):
            size = min(room, self.state.max_outbound_frame_size, len(rest))
            self.state.send_data(stream, rest[:size], pad_length=7 if size < 1000 else None)
            rest = rest[size:]
        self.waiting[stream] = rest
        if not rest:
            del self.waiting[stream]
            self.state.send_headers(stream, DONE, end_stream=True)

    def flush(self) -> None:
        """Send what is to be sent."""
        self.transport.write(self.state.data_to_send())


def framed(message: bytes) -> bytes:
    """A message of gRPC's."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def echo(session: Session, asked: Asked) -> None:
    """Answer with what was asked."""
    session.reply(asked, asked.body[5:])


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Have it listen on a port of its own."""
    listening = await asyncio.get_running_loop().create_server(lambda: Session(server), "127.0.0.1", server.port)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()
    for session in server.sessions:
        session.transport.abort()
