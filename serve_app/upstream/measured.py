"""The way to Qdrant, measured: how long it took, what came back, and the trace that goes on there."""

from __future__ import annotations

from time import perf_counter

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
        status, started = "", perf_counter()
        try:
            with step("store", towards_qdrant=True) as this:
                if carried := _carried(this):
                    ours = [(name.encode(), value.encode()) for name, value in carried.items()]
                    request = request._replace(headers=[*without(request.headers, _HEADERS), *ours])
                response = await self._upstream.rest(request)
            status = str(int(response.status))
        except InferenceError as error:
            status = _word(error)
            raise
        finally:
            _count("rest", status, started)
        return response

    @override
    async def grpc(self, message: bytes, call: Call) -> Reply:
        status, started = "", perf_counter()
        try:
            with step("store", towards_qdrant=True) as this:
                if carried := _carried(this):
                    others = [pair for pair in call.metadata if pair[0] not in CARRIERS]
                    call = call._replace(metadata=[*others, *carried.items()])
                reply = await self._upstream.grpc(message, call)
            status = "OK"
        except UpstreamStatus as error:
            status = error.code.name
            raise
        except InferenceError as error:
            status = _word(error)
            raise
        finally:
            _count("grpc", status, started)
        return reply

    @override
    async def close(self) -> None:
        await self._upstream.close()


def _carried(this: step) -> dict[str, str]:
    """The headers in which the trace goes on, if there is one."""
    tracing = current().tracing
    return tracing.headers(this.span) if tracing and this.span else {}


def _word(error: InferenceError) -> str:
    return "timeout" if isinstance(error, DeadlineExceeded) else "unreachable"


def _count(protocol: str, status: str, started: float) -> None:
    """`status` is empty if the caller gave up, or for a fault of ours."""
    if status:
        UPSTREAM_RESPONSES.add(1, protocol, status)
    UPSTREAM_SECONDS.observe(perf_counter() - started, protocol)
