"""The way to Qdrant, measured: how long it took, what came back, and the trace that goes on there."""

from __future__ import annotations

import sys
from time import perf_counter

from typing_extensions import override

from deployments.errors import DeadlineExceeded, InferenceError
from serve_app.observability.metrics import UPSTREAM_RESPONSES, UPSTREAM_SECONDS
from serve_app.observability.record import Record, current
from serve_app.observability.tracing import CARRIERS, Span
from serve_app.protocol.messages import Call, Reply, Request, Response, without
from serve_app.upstream.base import Upstream, UpstreamStatus

_HEADERS = frozenset(name.encode() for name in CARRIERS)


class MeasuredUpstream(Upstream):
    """Hands everything on to another one."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    @override
    async def rest(self, request: Request) -> Response:
        record, status, began = current(), "", perf_counter()
        span = record.call_of_qdrant() if record.span else None
        if span:
            ours = [(name.encode(), value.encode()) for name, value in span.headers.items()]
            request = request._replace(headers=[*without(request.headers, _HEADERS), *ours])
        try:
            response = await self._upstream.rest(request)
            status = str(int(response.status))
        except InferenceError as error:
            status = _word(error)
            raise
        else:
            return response
        finally:
            _count(record, "rest", status, began, span)

    @override
    async def grpc(self, message: bytes, call: Call) -> Reply:
        record, status, began = current(), "", perf_counter()
        span = record.call_of_qdrant() if record.span else None
        if span:
            others = [pair for pair in call.metadata if pair[0] not in CARRIERS]
            call = call._replace(metadata=[*others, *span.headers.items()])
        try:
            reply = await self._upstream.grpc(message, call)
            status = "OK"
        except UpstreamStatus as error:
            status = error.code.name
            raise
        except InferenceError as error:
            status = _word(error)
            raise
        else:
            return reply
        finally:
            _count(record, "grpc", status, began, span)

    @override
    async def close(self) -> None:
        await self._upstream.close()


def _word(error: InferenceError) -> str:
    return "timeout" if isinstance(error, DeadlineExceeded) else "unreachable"


def _count(record: Record, protocol: str, status: str, began: float, span: Span | None) -> None:
    """`status` is empty if the caller gave up, or for a fault of ours."""
    seconds = perf_counter() - began
    record.stages["store", ""] += seconds
    if status:
        UPSTREAM_RESPONSES.values[protocol, status] += 1
    UPSTREAM_SECONDS.observe(seconds, protocol)
    if span:
        kind, *_ = sys.exc_info()
        span.end({}, kind.__name__ if kind else "")
