"""What became of one request. The APIs begin and end it; the steps on its way find it where they run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from typing_extensions import Self

from deployments.contract import Direction
from deployments.errors import InferenceError
from deployments.metrics.instruments import STAGE_SECONDS
from serve_app.observability import metrics
from serve_app.observability.request_log import Form, RequestLog, is_harmless
from serve_app.observability.tracing import Span, Tracing

OTHER = "other"
"""The operation of a request without inference objects; that of others is the direction, update or search."""

ABORTED = "aborted"
"""The status of a request whose caller hung up."""

Header = Callable[[str], str | None]
"""Looks up a request's header, or a call's metadata, by its name in lower case."""


class Watch:
    """Begins the record of each request. Logging and tracing are off unless they are set."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self.log: RequestLog | None = None
        self._form: Form = "none"

    def log_as(self, form: Form, file: Callable[[], Path]) -> None:
        """Log in this form from now on; `file` says where. Requests under way are logged as they began."""
        if form != self._form:
            self._form = form
            if self.log:
                self.log.close()
            self.log = RequestLog(file(), form) if form != "none" else None

    def close(self) -> None:
        """Close the log, and send the spans that were not sent yet."""
        if self.log:
            self.log.close()
        if self.tracing:
            self.tracing.close()

    def request(self, protocol: str, route: Callable[[], str], header: Header) -> Record:
        """The record of a request that begins; a context.

        `route` says which of Qdrant's routes or methods it is for, as a template without what the caller put there.
        """
        record = Record(protocol, self.log, self.tracing)
        if self.log or self.tracing:
            record.identify(route(), header)
        return record


class Record:
    """One request: its stages' times, its objects and tokens by model, and how it ended."""

    def __init__(self, protocol: str, log: RequestLog | None = None, tracing: Tracing | None = None) -> None:
        self.protocol = protocol
        self.operation = OTHER
        self.status = ABORTED
        self.error = ""
        self.route = ""
        self.request_id = ""
        self.seconds = 0.0
        self.stages: dict[tuple[str, str], float] = {}
        self.objects: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.tracing = tracing
        self.span: Span | None = None
        self._log = log
        self._started = perf_counter()
        self._token: Token[Record] | None = None

    def identify(self, route: str, header: Header) -> None:
        """Learn what only a log or a trace has a use for."""
        asked = header("x-request-id") or ""
        self.request_id = asked if is_harmless(asked) else uuid.uuid4().hex
        self.route = route
        if self.tracing:
            self.span = self.tracing.server_span(route, header, {"request.id": self.request_id})

    def planned(self, direction: Direction, objects: Mapping[str, int]) -> None:
        """The request needs inference, of so many objects by model. It may need more later on."""
        self.operation = direction
        for model, count in objects.items():
            self.objects[model] = self.objects.get(model, 0) + count
            metrics.OBJECTS.add(count, model, direction)

    def used(self, tokens: Mapping[str, int]) -> None:
        """All vectors that were planned last are there; the tokens that they took, by model."""
        for model, count in tokens.items():
            self.tokens[model] = self.tokens.get(model, 0) + count
            metrics.TOKENS.add(count, model, self.operation)

    def answered(self, status: str) -> None:
        """The request is answered: with an HTTP status, or the name of a gRPC status code."""
        self.status = status

    def failed(self, error: InferenceError) -> None:
        """The request ends with an error of ours."""
        self.error = type(error).__name__
        metrics.count_error(error)

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token:
            _CURRENT.reset(self._token)
        self.seconds = perf_counter() - self._started
        metrics.REQUESTS.add(1, self.protocol, self.operation, self.status)
        metrics.REQUEST_SECONDS.observe(self.seconds, self.protocol, self.operation)
        for (stage, model), seconds in self.stages.items():
            STAGE_SECONDS.observe(seconds, stage, model, self.operation)
        if self._log:
            self._log.write(self._told())
        if self.span:
            self.span.end(self._attributes(), self.error or (self.status if self.status == ABORTED else ""))

    def _told(self) -> dict[str, Any]:
        stages = {f"{stage} {model}".strip(): round(seconds, 6) for (stage, model), seconds in self.stages.items()}
        told = {
            "request_id": self.request_id,
            "protocol": self.protocol,
            "route": self.route,
            "operation": self.operation,
            "status": self.status,
            "error": self.error,
            "seconds": round(self.seconds, 6),
            "objects": self.objects,
            "tokens": self.tokens,
            "stages": stages,
        }
        return {**told, "trace_id": self.span.trace_id} if self.span else told

    def _attributes(self) -> dict[str, Any]:
        status = "http.response.status_code" if self.protocol == "rest" else "rpc.response.status_code"
        return {status: self.status, "inference.operation": self.operation}


_CURRENT: ContextVar[Record] = ContextVar("record", default=Record("none"))  # noqa: B039  nobody looks into this one


def current() -> Record:
    """The record of the request that runs here."""
    return _CURRENT.get()


class step:  # noqa: N801  it is used like a function
    """A context that measures one stage of the current request; with tracing on, a span of it too."""

    __slots__ = ("_key", "_record", "_started", "_towards_qdrant", "span")

    def __init__(self, stage: str, model: str = "", *, towards_qdrant: bool = False) -> None:
        self._key = stage, model
        self._towards_qdrant = towards_qdrant
        self.span: Span | None = None

    def __enter__(self) -> Self:
        self._record = record = _CURRENT.get()
        if record.tracing and record.span:
            stage, model = self._key
            attributes = {"inference.model": model} if model else {}
            self.span = record.tracing.step_span(stage, record.span, attributes, client=self._towards_qdrant)
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._started
        stages = self._record.stages
        stages[self._key] = stages.get(self._key, 0.0) + seconds
        if self.span:
            self.span.end({}, kind.__name__ if kind else "")
