"""The way to Qdrant: a server elsewhere, over HTTP for REST and over gRPC for gRPC, or the embedded store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import grpc
from google.protobuf.message import Message
from typing_extensions import override
from yarl import URL

from deployments.errors import UpstreamUnavailable
from serve_app.exchange import Call, Metadata, Request, Response, json_response, read, without
from serve_app.methods import response_class

_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"})
"""Headers that end at each hop (RFC 9110, section 7.6.1), and Host, which names the next one."""

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CHUNK = 64 * 1024
_MAX_MESSAGE = 256 * 1024 * 1024


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

    async def grpc(self, message: Message, call: Call) -> Message:
        """Forward a gRPC call as it is.

        Raises:
            UpstreamStatus: Qdrant answered with a status instead of a message.
        """

    async def close(self) -> None:
        """End all connections."""


class RemoteQdrant(Upstream):
    """A Qdrant server at `url`, for example `http://localhost:6333`, and its gRPC API at `grpc_url`."""

    def __init__(self, url: str, grpc_url: str) -> None:
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=5),
        )
        options = [("grpc.max_send_message_length", _MAX_MESSAGE), ("grpc.max_receive_message_length", _MAX_MESSAGE)]
        target = URL(grpc_url)
        address = f"{target.host}:{target.port}"
        self._channel = (
            grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if target.scheme == "https"
            else grpc.aio.insecure_channel(address, options)
        )

    @override
    async def rest(self, request: Request) -> Response:
        url = URL(self._url + request.path + (f"?{request.query}" if request.query else ""), encoded=True)
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in without(request.headers, _HOP_BY_HOP)]
        try:
            answer = await self._session.request(
                request.method, url, headers=headers, data=request.body, allow_redirects=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )  # fmt: skip
        except (aiohttp.ClientConnectionError, asyncio.TimeoutError) as error:
            raise UpstreamUnavailable("Qdrant cannot be reached") from error
        return Response(answer.status, without(answer.raw_headers, _HOP_BY_HOP), _stream(answer))

    @override
    async def grpc(self, message: Message, call: Call) -> Message:
        answer = response_class(call.method)
        invoke = self._channel.unary_unary(
            call.method, request_serializer=type(message).SerializeToString, response_deserializer=answer.FromString
        )
        try:
            result: Message = await invoke(message, metadata=tuple(call.metadata))
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            if error.code() == grpc.StatusCode.UNAVAILABLE and not error.trailing_metadata():
                raise UpstreamUnavailable("Qdrant cannot be reached") from error
            raise UpstreamStatus(error.code(), details, tuple(error.trailing_metadata() or ())) from error
        return result

    @override
    async def close(self) -> None:
        await self._session.close()
        await self._channel.close()


async def _stream(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for part in answer.content.iter_chunked(_CHUNK):
            yield part
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        raise UpstreamUnavailable("Qdrant broke off in the middle of its answer") from error
    finally:
        answer.close()


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
    async def grpc(self, message: Message, call: Call) -> Message:
        code, details, answer = await self.call_grpc(call.method, message.SerializeToString())
        if code:
            raise UpstreamStatus(_STATUS_CODES[code], details)
        return response_class(call.method).FromString(answer)

    @override
    async def close(self) -> None:
        """Nothing to end: the deployment closes its store itself."""
