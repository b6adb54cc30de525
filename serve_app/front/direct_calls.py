"""gRPC calls answered in an ingress replica without Ray Serve's own handling of each, which costs more than they do.

It makes a context that pickles, a task, generators and a line for the log of each call. What matters of it
stays: the replica's limits and counts (`front.ray_replica`), `request_timeout_s`, the application that a call may name,
and the id in the answer. A caller that hangs up, or whose deadline is over, has the call cancelled by gRPC itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc

from serve_app.front.ray_replica import OngoingRequests, deployed, grpc_timeout_s, new_request_id, replica_of
from serve_app.protocol.messages import Metadata, RawMessage
from serve_app.protocol.timers import Timers

Answer = Callable[[RawMessage, Any], Awaitable[bytes]]
_Code = grpc.StatusCode


class AnswersCalls(Protocol):
    """A deployment that answers gRPC calls itself."""

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        """Answer a call; a failure is a status in `context` and an empty message."""


class CallContext:
    """What a deployment is told of a call, and says of its answer. The call's id goes along with that."""

    __slots__ = ("_context", "_id", "_metadata")

    def __init__(self, context: Any, metadata: Sequence[tuple[str, Any]], request_id: str) -> None:
        self._context = context
        self._metadata = metadata
        self._id = request_id

    def invocation_metadata(self) -> Sequence[tuple[str, Any]]:
        """What the caller sent with it."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """As gRPC has it."""
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        """As gRPC has it."""
        self._context.set_details(details)

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """As gRPC has it."""
        self._context.set_trailing_metadata([("request_id", self._id), *metadata])


class DirectCalls:
    """The calls of one replica."""

    def __init__(self, deployment: AnswersCalls, requests: OngoingRequests, timeout_s: float | None) -> None:
        self._deployment = deployment
        self._requests = requests
        self._timeout_s = timeout_s or math.inf
        self._timers = Timers()

    async def answer(self, message: RawMessage, context: Any) -> bytes:
        """Answer a call as Ray Serve does: in `context`, and with a message's bytes."""
        metadata: Sequence[tuple[str, Any]] = context.invocation_metadata()
        told = dict(metadata)
        if refusal := self._refusal(told.get("application")):
            return _failed(context, *refusal)
        came_in = await self._requests.begin()
        status = _Code.UNKNOWN  # as gRPC says itself of what is raised here
        try:
            call = CallContext(context, metadata, told.get("request_id") or new_request_id())
            answer = await self._within_time(message, call)
            status = _Code.OK
        except TimeoutError:
            status = _Code.DEADLINE_EXCEEDED
            return _failed(context, status, f"Request timed out after {self._timeout_s}s.")
        except asyncio.CancelledError:
            status = _Code.CANCELLED
            raise
        else:
            return answer.data
        finally:
            self._requests.end(came_in, message.method, status.name, is_error=status is not _Code.OK)

    def _refusal(self, application: Any) -> tuple[grpc.StatusCode, str] | None:
        if application and application != self._requests.application:
            ask = "Ping /ray.serve.RayServeAPIService/ListApplications for available applications."
            return _Code.NOT_FOUND, f"Application '{application}' not found. {ask}"
        if self._requests.are_too_many:
            return _Code.RESOURCE_EXHAUSTED, "Request dropped due to backpressure"
        return None

    async def _within_time(self, message: RawMessage, call: CallContext) -> RawMessage:
        until = time.monotonic() + self._timeout_s
        task = asyncio.current_task()
        timer = self._timers.at(until, task.cancel) if task and until < math.inf else None
        try:
            return await self._deployment.answer_call(message, call)
        except asyncio.CancelledError:
            if time.monotonic() < until:
                raise
            raise TimeoutError from None
        finally:
            if timer:
                timer.cancel()


def _failed(context: Any, code: grpc.StatusCode, details: str) -> bytes:
    context.set_code(code)
    context.set_details(details)
    return b""


def direct_answer(factory: Any) -> Answer | None:
    """What answers calls without Ray Serve's handling; None if they are not for a deployment that takes them so.

    `factory` is what a gRPC server of Ray Serve's asks for the handler of a method.
    """
    replica = replica_of(factory)
    deployment: Any = deployed(replica) if replica else None
    if not hasattr(deployment, "answer_call"):
        return None
    requests = OngoingRequests(replica, "gRPC")
    return DirectCalls(deployment, requests, grpc_timeout_s(replica)).answer
