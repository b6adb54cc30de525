"""Spans: whose trace they belong to, what stands below what, and what Qdrant is told."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments.errors import ConfigError
from serve_app.config import environment
from serve_app.observability import tracing
from serve_app.observability.record import Watch
from serve_app.observability.tracing import Tracing
from tests.support.gateway import UPSERT, Context
from tests.support.seeing import Seen, query

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
SECRET = "a-text-that-nobody-may-see"


class Traced(Seen):
    """A gateway with tracing on, and the spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        super().__init__(Watch(Tracing(provider)))

    @property
    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


async def test_a_requests_spans_belong_to_the_callers_trace() -> None:
    gateway = Traced()
    await gateway.put(UPSERT, headers={"traceparent": TRACEPARENT})
    root = gateway.spans["PUT /collections/{collection}/points"]
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == PARENT
    steps = {name: span for name, span in gateway.spans.items() if span is not root}
    assert steps.keys() == {"read", "decode", "embed", "encode", "store"}
    assert {span.parent.span_id for span in steps.values()} == {root.context.span_id}
    assert steps["embed"].attributes["inference.model"] == "org/dense"


async def test_qdrant_is_told_our_span_in_place_of_the_callers() -> None:
    gateway = Traced()
    await gateway.put(UPSERT, headers={"traceparent": TRACEPARENT, "tracestate": "a=1"})
    (request,) = gateway.qdrant.requests
    store = f"{gateway.spans['store'].context.span_id:016x}"
    assert [value for name, value in request.headers if name == b"traceparent"] == [f"00-{TRACE}-{store}-01".encode()]
    assert [value for name, value in request.headers if name == b"tracestate"] == [b"a=1"]


async def test_grpc_calls_are_joined_by_their_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway, told = Traced(), []
    answer = gateway.qdrant.grpc

    async def listening(message: Any, call: Any) -> Any:
        told.append(dict(call.metadata))
        return await answer(message, call)

    monkeypatch.setattr(gateway.qdrant, "grpc", listening)
    context = Context()
    context.invocation_metadata = lambda: [("traceparent", TRACEPARENT)]  # type: ignore[method-assign]
    await gateway.grpc.answer("Query", query(), context)
    root = gateway.spans["/qdrant.Points/Query"]
    assert f"{root.context.trace_id:032x}" == TRACE
    store = f"{gateway.spans['store'].context.span_id:016x}"
    assert told == [{"traceparent": f"00-{TRACE}-{store}-01"}]


async def test_without_a_callers_trace_one_begins() -> None:
    gateway = Traced()
    await gateway.client.get("/collections/c")
    assert gateway.spans["GET /collections/{collection}"].parent is None


async def test_an_error_shows_as_one() -> None:
    gateway = Traced()
    await gateway.put({"points": [{"id": 1, "vector": {"text": SECRET, "model": SECRET}}]})
    (root,) = (span for span in gateway.spans.values() if span.parent is None)
    assert not root.status.is_ok
    assert root.attributes["error.type"] == "UnknownModel"


async def test_no_span_holds_what_a_request_holds() -> None:
    gateway = Traced()
    body = {"points": [{"id": SECRET, "vector": {"text": SECRET, "model": "org/dense"}, "payload": {SECRET: SECRET}}]}
    await gateway.put(body, f"/collections/{SECRET}/points?wait={SECRET}", headers={"api-key": SECRET})
    await gateway.put({"points": [{"id": 1, "vector": {"text": SECRET, "model": SECRET}}]}, f"/{SECRET}")
    assert len(gateway.spans) > 5
    assert SECRET not in "".join(span.to_json() for span in gateway.exporter.get_finished_spans())


async def test_off_the_callers_trace_passes_through_untouched() -> None:
    gateway = Seen(Watch())
    await gateway.put(UPSERT, headers={"traceparent": TRACEPARENT})
    assert (b"traceparent", TRACEPARENT.encode()) in gateway.qdrant.requests[0].headers


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "true"}]
)
def test_tracing_is_off_by_default_and_where_it_is_switched_off(variables: dict[str, str]) -> None:
    assert not environment.read(variables).asks_for_traces


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match="extra 'tracing'"):
        tracing.start()


async def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    assert environment.read().asks_for_traces
    started = tracing.start()
    gateway = Seen(Watch(started))
    await gateway.put(UPSERT, headers={"traceparent": TRACEPARENT})
    started.close()
    server.shutdown()
    server.server_close()
    sent = b"".join(bodies)
    assert bytes.fromhex(TRACE) in sent
    assert b"PUT /collections/{collection}/points" in sent
    assert b"qdrant-inference" in sent
