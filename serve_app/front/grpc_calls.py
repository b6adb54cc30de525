"""Qdrant's gRPC calls, which HAProxy hands to an ingress replica as requests of HTTP/1.1. Others are Ray Serve's.

It makes HTTP/1.1 of a caller's HTTP/2, and of the trailers of a chunked answer those that end a call. A server of
HTTP/1.1 takes a fraction of the processor time that gRPC's own takes.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import Any, Protocol

import grpc

from deployments.errors import MalformedRequest, TooLarge
from serve_app.front import grpc_wire
from serve_app.front.grpc_wire import CallHead
from serve_app.front.guarded_calls import Callers
from serve_app.front.http_exchange import Message, Receive, Scope, Send
from serve_app.front.ray_replica import GRPC_MAX_BYTES, OngoingRequests, grpc_timeout_s, new_request_id
from serve_app.protocol.compression import MOST_UNFOLDED, decompress
from serve_app.protocol.grpc_framing import PREFIX_BYTES, framed, prefix_of
from serve_app.protocol.grpc_services import is_method
from serve_app.protocol.messages import Headers, Metadata, RawMessage
from serve_app.protocol.offload import beside
from serve_app.protocol.timers import TaskTimer, Timers

_Code = grpc.StatusCode
_TYPE = b"application/grpc"
_TYPES = frozenset({_TYPE, _TYPE + b"+proto"})
_HEAD: Headers = [
    (b"content-type", _TYPE),
    (b"grpc-accept-encoding", ",".join((grpc_wire.IDENTITY, *grpc_wire.ENCODINGS)).encode()),
]


class AnswersCalls(Protocol):
    """A deployment that answers gRPC calls itself."""

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        """Answer a call; a failure is a status in `context` and an empty message."""


class CallContext:
    """What a deployment is told of a call, and says of its answer, in gRPC's own words. The call's id goes along."""

    __slots__ = ("_metadata", "code", "details", "trailing")

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self.code = _Code.OK
        self.details = ""
        self.trailing: Metadata = ()

    def invocation_metadata(self) -> Metadata:
        """What the caller sent with it."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """As gRPC has it."""
        self.code = code

    def set_details(self, details: str) -> None:
        """As gRPC has it."""
        self.details = details

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """As gRPC has it."""
        self.trailing = metadata


class _Refused(Exception):
    """A call that ends before a deployment sees it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class GrpcCalls:
    """The calls of one replica, as an ASGI app whose server knows trailers."""

    def __init__(self, deployment: AnswersCalls, callers: Callers | None, replica: Any) -> None:
        """`replica` is the one of Ray Serve's that runs it."""
        self._deployment = deployment
        self._callers = callers
        self._requests = OngoingRequests(replica, "gRPC")
        self._timeout_s = grpc_timeout_s(replica) or math.inf
        self._timers = Timers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["method"] != "POST" or _content_type(scope["headers"]) not in _TYPES:
            await _no_call(send)
            return
        method: str = scope["path"]
        try:
            head = self._admitted(method, scope["headers"])
            context = CallContext(head.metadata)
            message = await self._within_time(method, head, receive, context)
            lines = grpc_wire.status_lines(context.code, context.details, [_id(head.metadata), *context.trailing])
        except _Refused as refused:
            await _fail(send, refused.code, refused.details)
        except asyncio.CancelledError:  # if the caller has not hung up, the server's own time is over
            await _fail(send, _Code.DEADLINE_EXCEEDED, "the answer took longer than any may")
            raise
        except Exception:
            await _fail(send, _Code.INTERNAL, "an internal error; the server's log has its origin")
            raise
        else:
            await _end(send, lines, framed(message) if context.code is _Code.OK else b"")

    def _admitted(self, method: str, headers: Headers) -> CallHead:
        """A call's head, if its message is to be read."""
        if not is_method(method):
            raise _Refused(_Code.UNIMPLEMENTED, "Method not found!")  # in gRPC's words
        try:
            head = grpc_wire.call_head(headers)
        except ValueError as error:
            raise _Refused(_Code.INVALID_ARGUMENT, str(error)) from error
        if refusal := (self._callers.refusal(method, head.metadata) if self._callers else None):
            code, details = refusal
            raise _Refused(grpc.StatusCode[code], details)
        if self._requests.are_too_many:
            raise _Refused(_Code.RESOURCE_EXHAUSTED, "Request dropped due to backpressure")  # in Ray Serve's words
        return head

    async def _within_time(self, method: str, head: CallHead, receive: Receive, context: CallContext) -> bytes:
        """Answer a call within its caller's time and ours, of which waiting for its turn is a part."""
        limit_s, late = self._timeout_s, f"Request timed out after {self._timeout_s}s."  # in Ray Serve's words
        if head.timeout_s is not None and head.timeout_s < limit_s:
            limit_s, late = head.timeout_s, "Deadline Exceeded"  # in gRPC's
        timer = self._timers.of_this_task(time.monotonic() + limit_s)
        try:
            return await self._counted(method, head, receive, context, timer)
        except asyncio.CancelledError:
            if timer.alone_cancelled():
                raise _Refused(_Code.DEADLINE_EXCEEDED, late) from None
            raise
        finally:
            timer.cancel()

    async def _counted(
        self, method: str, head: CallHead, receive: Receive, context: CallContext, timer: TaskTimer
    ) -> bytes:
        """Answer a call of which Ray Serve is told."""
        came_in = await self._requests.begin()
        status = _Code.UNKNOWN
        try:
            message = RawMessage(method, await self._message(method, head.encoding, receive))
            answer = await self._deployment.answer_call(message, context)
            status = _Code.OK
        except _Refused as refused:
            status = refused.code
            raise
        except asyncio.CancelledError:
            status = _Code.DEADLINE_EXCEEDED if timer.is_over else _Code.CANCELLED
            raise
        finally:
            self._requests.end(came_in, method, status.name, is_error=status is not _Code.OK)
        return answer.data

    async def _message(self, method: str, encoding: str, receive: Receive) -> bytes:
        """A call's message; of one that everybody may call nothing is read."""
        if self._callers and self._callers.is_open(method):
            return b""
        is_compressed, message = await _read(receive)
        if not is_compressed:
            return message
        if encoding == grpc_wire.IDENTITY:
            raise _Refused(_Code.INTERNAL, "the message is compressed, and grpc-encoding does not say how")
        if encoding not in grpc_wire.ENCODINGS:
            raise _Refused(_Code.UNIMPLEMENTED, f"grpc-encoding: expected {' or '.join(grpc_wire.ENCODINGS)}")
        unfold = partial(decompress, message, encoding, GRPC_MAX_BYTES)
        try:
            return await beside(MOST_UNFOLDED * len(message), unfold)
        except TooLarge as error:
            raise _too_long() from error
        except MalformedRequest as error:
            raise _Refused(_Code.INTERNAL, error.message) from error


async def _read(receive: Receive) -> tuple[bool, bytes]:
    """The one message of a call, and whether it is compressed."""
    part: Message = {"body": b"", "more_body": True}
    start = b""
    while part["more_body"] and len(start) < PREFIX_BYTES:
        part = await receive()
        start += part["body"]
    try:
        is_compressed, length = prefix_of(start)
    except ValueError as error:
        raise _Refused(_Code.INTERNAL, str(error)) from error
    if length > GRPC_MAX_BYTES:
        raise _too_long()
    parts = [start[PREFIX_BYTES:]]
    left = length - len(parts[0])
    while part["more_body"] and left >= 0:
        part = await receive()
        parts.append(part["body"])
        left -= len(part["body"])
    if left:
        raise _Refused(
            _Code.INTERNAL, "the message ends too early" if left > 0 else "the call goes on after its message"
        )
    return is_compressed, parts[0] if len(parts) == 1 else b"".join(parts)


def _too_long() -> _Refused:
    return _Refused(_Code.RESOURCE_EXHAUSTED, f"a message may have {GRPC_MAX_BYTES} bytes")


def _id(metadata: Metadata) -> tuple[str, str | bytes]:
    """What a call is known by, as Ray Serve has it: what its caller named it last."""
    ids = [value for name, value in metadata if name == "request_id"]
    return "request_id", (ids[-1] if ids else "") or new_request_id()


def _content_type(headers: Headers) -> bytes:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0]
    return b""


async def _fail(send: Send, code: grpc.StatusCode, details: str) -> None:
    await _end(send, grpc_wire.status_lines(code, details))


async def _end(send: Send, lines: Headers, body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEAD, "trailers": True})
    await send({"type": "http.response.body", "body": body})
    await send({"type": "http.response.trailers", "headers": lines})


async def _no_call(send: Send) -> None:
    await send({"type": "http.response.start", "status": 415, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
