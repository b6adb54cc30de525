"""What does one request leave behind? Its answer, log line, trace and metrics, written into docs/one-request.md.

A service of its own, with the starter models and the embedded store, gets one search after some others. The blocks of
the page that are marked with a name are replaced by what was seen.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import deployment, service
from deployments.catalogue.catalogue import HOME
from tests.support.running import RunningService

PAGE = HOME / "docs" / "one-request.md"
MODEL = "sentence-transformers/all-minilm-l6-v2"
TRACE, PARENT, REQUEST = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "shop-42"
QUERY = {"query": {"text": "How to bake cookies?", "model": MODEL}, "with_payload": True, "limit": 1}
PREFIX = "ray_qdrant_inference_"
QUIET_S = 8.0
"""After so long all processes have reported twice."""

T = TypeVar("T")
Samples = dict[tuple[str, str], float]


def main() -> None:
    """Send the request, and write down what it left."""
    with collector() as (port, spans):
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "RAY_metrics_report_interval_ms": "2000",
        }
        with service(variables, with_log) as running, httpx.Client(base_url=running.rest_address, timeout=60) as client:
            prepare(client)
            time.sleep(QUIET_S)
            before = scraped(running)
            answer = ask(client, {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": REQUEST})
            line = until(lambda: logged(running))
            seen = until(lambda: spans_of(spans))
            time.sleep(QUIET_S)
            changed = difference(before, scraped(running))
    blocks = {
        "answer": json.dumps(answer, indent=2),
        "log": json.dumps(line, indent=2),
        "trace": seen,
        "metrics": changed,
    }
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    print(f"written into {PAGE}")


def with_log(application: Any) -> None:
    """The service's request log is on."""
    deployment(application, "Ingress")["user_config"]["request_log"] = "json"


def prepare(client: httpx.Client) -> None:
    """A collection with two texts, and some searches, so that nothing is done for the first time."""
    client.put("/collections/recipes", json={"vectors": {"size": 384, "distance": "Cosine"}}).raise_for_status()
    texts = {1: "Recipe for baking chocolate chip cookies", 2: "How to change the oil of a car"}
    points = [
        {"id": n, "vector": {"text": text, "model": MODEL}, "payload": {"text": text}} for n, text in texts.items()
    ]
    client.put("/collections/recipes/points?wait=true", json={"points": points}).raise_for_status()
    for _ in range(20):
        ask(client, {})


def ask(client: httpx.Client, headers: dict[str, str]) -> Any:
    """The search."""
    answer = client.post("/collections/recipes/points/query", json=QUERY, headers=headers)
    return answer.raise_for_status().json()


@contextmanager
def collector() -> Iterator[tuple[int, list[Any]]]:
    """A stand-in for OpenTelemetry's collector: its port, and the spans that come."""
    spans: list[Any] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            spans.extend(s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], spans
        server.shutdown()


def until(found: Callable[[], T | None]) -> T:
    """What something finds, as soon as it finds it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.2)
    raise TimeoutError("the request left nothing behind")


def logged(running: RunningService) -> Any:
    """The line of the request in the log, as JSON."""
    for path in Path(running.logs).rglob("requests_*.log"):
        for line in path.read_text().splitlines():
            if f'"{REQUEST}"' in line:
                return json.loads(line)
    return None


def spans_of(spans: list[Any]) -> str | None:
    """The spans of the trace, as a tree: when each began after the first, and how long it took."""
    own = [span for span in spans if span.trace_id.hex() == TRACE]
    roots = [span for span in own if span.parent_span_id.hex() == PARENT]
    if not roots or len(own) < 2:
        return None
    (root,) = roots
    lines = ["begins at        takes  span"]

    def tell(span: Any, depth: int) -> None:
        begins = (span.start_time_unix_nano - root.start_time_unix_nano) / 1e6
        takes = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        lines.append(f"{begins:6.3f} ms  {takes:8.3f} ms  {'  ' * depth}{span.name}")
        for child in sorted((s for s in own if s.parent_span_id == span.span_id), key=lambda s: s.start_time_unix_nano):
            tell(child, depth + 1)

    tell(root, 0)
    attributes = {one.key: one.value.string_value or one.value.int_value for one in root.attributes}
    return "\n".join([*lines, "", *(f"{key} = {value}" for key, value in sorted(attributes.items()))])


def scraped(running: RunningService) -> Samples:
    """What the exporter tells of us, summed over replicas; buckets are left out."""
    samples: Samples = {}
    for family in text_string_to_metric_families(httpx.get(running.metrics_address, timeout=30).text):
        for sample in family.samples:
            if sample.name.startswith(PREFIX) and not sample.name.endswith("_bucket"):
                kept = {k: v for k, v in sample.labels.items() if v and k not in HIDDEN and not k.startswith("otel_")}
                key = sample.name, ", ".join(f'{name}="{value}"' for name, value in sorted(kept.items()))
                samples[key] = samples.get(key, 0.0) + sample.value
    return samples


HIDDEN = {
    "Component",
    "NodeAddress",
    "SessionName",
    "Version",
    "WorkerId",
    "replica",
    "deployment",
    "application",
    "pid",
}
"""Labels that say which process reports."""


def difference(before: Samples, after: Samples) -> str:
    """The counters and histograms that grew by the request; those of the replicas' health checks are left out."""
    grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
    lines = []
    for (name, labels), amount in sorted(grown.items()):
        shown = name.removeprefix("ray_"), labels
        if amount <= 0 or 'operation="check"' in labels:
            continue
        if name.endswith("_total"):
            lines.append("{}{{{}}}  +{:g}".format(*shown, amount))
        elif name.endswith("_count"):
            total = grown[name.removesuffix("count") + "sum", labels]
            lines.append("{}{{{}}}  +{:g}, sum +{:.4g}".format(shown[0].removesuffix("_count"), labels, amount, total))
    return "\n".join(lines)


def filled(page: str, blocks: dict[str, str]) -> str:
    """The page with the marked blocks replaced."""
    for name, text in blocks.items():
        pattern = rf"(<!-- made: {name} -->\n```\w*\n).*?(\n```)"
        page, count = re.subn(pattern, lambda found, text=text: found[1] + text + found[2], page, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the page has {count} blocks '{name}'")
    return page


if __name__ == "__main__":
    main()
