"""The way to Qdrant, wherever it is; the way to the embedded store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from serve_app.exchange import Call, Metadata, Reply, Request, Response, json_response, read
from serve_app.methods import response_class

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


class UpstreamStatus(Exception):
    """A gRPC status with which Qdrant answered, to be passed on as it is."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Metadata = ()) -> None:
        super().__init__(code, details, metadata)
        self.code = code
        self.details = details
        self.metadata = metadata


class Upstream(Protocol):
    """Qdrant, wherever it is."""

    async def rest(self, request: Request) -> Response:
        """Forward an HTTP request as it is."""

    async def grpc(self, message: Message, call: Call) -> Reply:
        """Forward a gRPC call as it is.

        Raises:
            UpstreamStatus: Qdrant answered with a status instead of a message.
        """

    async def close(self) -> None:
        """End all connections."""


@dataclass(frozen=True)
class EmbeddedQdrant(Upstream):
    """The embedded store, in the deployment behind these two calls."""

    call_rest: Callable[[str, str, str, bytes], Awaitable[tuple[int, bytes]]]
    call_grpc: Callable[[str, bytes], Awaitable[tuple[int, str, bytes]]]

    @override
    async def rest(self, request: Request) -> Response:
        body = await read(request.body) or b""
        status, answer = await self.call_rest(request.method, request.path, request.query, body)
        return json_response(status, answer)

    @override
    async def grpc(self, message: Message, call: Call) -> Reply:
        code, details, answer = await self.call_grpc(call.method, message.SerializeToString())
        if code:
            raise UpstreamStatus(_STATUS_CODES[code], details)
        return Reply(response_class(call.method).FromString(answer))

    @override
    async def close(self) -> None:
        """Nothing to end: the deployment closes its store itself."""
