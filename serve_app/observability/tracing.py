"""OpenTelemetry spans: one for each request, joined to its caller's trace, and one for each of its steps.

Off unless the environment names a collector; then OpenTelemetry's own variables say how (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, ...). No attribute holds what a request holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from deployments.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

CARRIERS = frozenset({"traceparent", "tracestate"})
"""The headers in which a trace goes on (W3C Trace Context)."""

_FLUSH_MS = 2000


class Span:
    """A span that has begun."""

    def __init__(self, span: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """`headers` are those with which a request goes on, so that what its receiver does stands below this span."""
        self.otel = span
        self.headers = headers

    @property
    def trace_id(self) -> str:
        """In hexadecimal digits, as traces are looked up."""
        return f"{self.otel.get_span_context().trace_id:032x}"

    def end(self, attributes: Mapping[str, Any], error: str) -> None:
        """End it; `error` is the kind of what went wrong, or empty."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  of an extra

        if error:
            self.otel.set_attribute("error.type", error)
            self.otel.set_status(Status(StatusCode.ERROR))
        self.otel.set_attributes(attributes)
        self.otel.end()


class Tracing:
    """Makes spans and hands them to a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._provider = provider
        self._tracer = provider.get_tracer("qdrant_inference")
        self._propagator = TraceContextTextMapPropagator()

    def server_span(self, name: str, header: Callable[[str], str | None], attributes: Mapping[str, Any]) -> Span:
        """The span of a request, which belongs to the trace that its headers name, or else begins one."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        given = {carrier: value for carrier in CARRIERS if (value := header(carrier))}
        context = self._propagator.extract(given)
        return Span(self._tracer.start_span(name, context, SpanKind.SERVER, attributes))

    def past_step(self, name: str, parent: Span, attributes: Mapping[str, Any], seconds: float, error: str) -> None:
        """A step on a request's way, which took so long and has ended now; `error` as in `Span.end`."""
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        began = time.time_ns() - int(seconds * 1e9)
        context = set_span_in_context(parent.otel)
        Span(self._tracer.start_span(name, context, SpanKind.INTERNAL, attributes, start_time=began)).end({}, error)

    def call_of_qdrant(self, parent: Span) -> Span:
        """The span of the step that is Qdrant's, which begins."""
        from opentelemetry.trace import SpanKind, set_span_in_context  # noqa: PLC0415

        span = self._tracer.start_span("store", set_span_in_context(parent.otel), SpanKind.CLIENT)
        carried: dict[str, str] = {}
        self._propagator.inject(carried, set_span_in_context(span))
        return Span(span, carried)

    def close(self) -> None:
        """Send what has not been sent, and end."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()


def start() -> Tracing:
    """Tracing as OpenTelemetry's variables say.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "environment: OTEL_EXPORTER_OTLP_ENDPOINT asks for traces; install the package's extra 'tracing'"
        ) from error
    ours = Resource({"service.name": "qdrant-inference"})
    provider = TracerProvider(resource=Resource.create().merge(ours).merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
