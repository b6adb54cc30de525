"""The way to Qdrant, measured: how long it took, what came back, and the trace that goes on there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter

from google.protobuf.message import Message
from typing_extensions import override

from deployments.errors import DeadlineExceeded, InferenceError
from serve_app.observability.metrics import UPSTREAM_RESPONSES, UPSTREAM_SECONDS
from serve_app.observability.record import current, step
from serve_app.observability.tracing import CARRIERS
from serve_app.protocol.messages import Call, Reply, Request, Response, without
from serve_app.upstream.base import Upstream, UpstreamStatus

_HEADERS = frozenset(name.encode() for name in CARRIERS)


class MeasuredUpstream(Upstream):
    """Hands everything on to another one."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    @override
    async def rest(self, request: Request) -> Response:
        with _measured("rest") as carried:
            if carried:
                ours = [(name.encode(), value.encode()) for name, value in carried.items()]
                request = replace(request, headers=[*without(request.headers, _HEADERS), *ours])
            response = await self._upstream.rest(request)
        UPSTREAM_RESPONSES.add(1, "rest", str(int(response.status)))
        return response

    @override
    async def grpc(self, message: Message, call: Call) -> Reply:
        with _measured("grpc") as carried:
            if carried:
                others = [pair for pair in call.metadata if pair[0] not in CARRIERS]
                call = replace(call, metadata=[*others, *carried.items()])
            reply = await self._upstream.grpc(message, call)
        UPSTREAM_RESPONSES.add(1, "grpc", "OK")
        return reply

    @override
    async def close(self) -> None:
        await self._upstream.close()


@contextmanager
def _measured(protocol: str) -> Iterator[dict[str, str]]:
    """Measure the way there and back; yields the headers in which the trace goes on, if there is one."""
    started = perf_counter()
    try:
        with step("store", towards_qdrant=True) as this:
            tracing = current().tracing
            yield tracing.headers(this.span) if tracing and this.span else {}
    except UpstreamStatus as status:
        UPSTREAM_RESPONSES.add(1, protocol, status.code.name)
        raise
    except InferenceError as error:
        UPSTREAM_RESPONSES.add(1, protocol, "timeout" if isinstance(error, DeadlineExceeded) else "unreachable")
        raise
    finally:
        UPSTREAM_SECONDS.observe(perf_counter() - started, protocol)
