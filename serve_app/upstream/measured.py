"""The way to Qdrant, measured: how long it took, what came back, and the trace that goes on there."""

from __future__ import annotations

from time import perf_counter
from types import TracebackType

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
        with _Measured("rest") as measured:
            if carried := measured.carried:
                ours = [(name.encode(), value.encode()) for name, value in carried.items()]
                request = request._replace(headers=[*without(request.headers, _HEADERS), *ours])
            response = await self._upstream.rest(request)
            measured.answered(str(int(response.status)))
        return response

    @override
    async def grpc(self, message: bytes, call: Call) -> Reply:
        with _Measured("grpc") as measured:
            if carried := measured.carried:
                others = [pair for pair in call.metadata if pair[0] not in CARRIERS]
                call = call._replace(metadata=[*others, *carried.items()])
            reply = await self._upstream.grpc(message, call)
            measured.answered("OK")
        return reply

    @override
    async def close(self) -> None:
        await self._upstream.close()


class _Measured(step):
    """The way there and back. `carried`: the headers in which the trace goes on, if there is one."""

    __slots__ = ("_protocol", "_status")

    def __init__(self, protocol: str) -> None:
        super().__init__("store", towards_qdrant=True)
        self._protocol = protocol
        self._status = ""

    @property
    def carried(self) -> dict[str, str]:
        tracing = current().tracing
        return tracing.headers(self.span) if tracing and self.span else {}

    def answered(self, status: str) -> None:
        self._status = status

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        status = self._status if error is None else _status_of(error)
        if status:
            UPSTREAM_RESPONSES.add(1, self._protocol, status)
        UPSTREAM_SECONDS.observe(perf_counter() - self.started, self._protocol)


def _status_of(error: BaseException) -> str:
    """How an exchange ended that has no answer; empty if its caller gave up, or for a fault of ours."""
    if isinstance(error, UpstreamStatus):
        return error.code.name
    if isinstance(error, InferenceError):
        return "timeout" if isinstance(error, DeadlineExceeded) else "unreachable"
    return ""
