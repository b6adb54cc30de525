"""What became of one request. The APIs begin and end it; the steps on its way find it where they run."""

from __future__ import annotations

import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from pathlib import Path
from time import perf_counter
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
        self.stages: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.objects: defaultdict[str, int] = defaultdict(int)
        self.tokens: defaultdict[str, int] = defaultdict(int)
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
            self.objects[model] += count
            metrics.OBJECTS.values[model, direction] += count

    def used(self, tokens: Mapping[str, int]) -> None:
        """All vectors that were planned last are there; the tokens that they took, by model."""
        for model, count in tokens.items():
            self.tokens[model] += count
            metrics.TOKENS.values[model, self.operation] += count

    def took(self, stage: str, began: float, model: str = "") -> float:
        """A stage that `began` then (`perf_counter()`) has ended, one way or another; gives when that is: now.

        With tracing on, it was a step of the request, too.
        """
        now = perf_counter()
        self.stages[stage, model] += now - began
        if self.span and self.tracing:
            attributes = {"inference.model": model} if model else {}
            kind, *_ = sys.exc_info()
            self.tracing.past_step(stage, self.span, attributes, now - began, kind.__name__ if kind else "")
        return now

    def call_of_qdrant(self) -> Span | None:
        """The span of the step that begins, which is Qdrant's; None without tracing. Who calls ends it."""
        return self.tracing.call_of_qdrant(self.span) if self.tracing and self.span else None

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
        operation = self.operation
        self.seconds = perf_counter() - self._started
        metrics.REQUESTS.values[self.protocol, operation, self.status] += 1
        metrics.REQUEST_SECONDS.observe(self.seconds, self.protocol, operation)
        STAGE_SECONDS.observe_all(self.stages, operation)
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


current: Callable[[], Record] = _CURRENT.get
"""The record of the request that runs here."""
