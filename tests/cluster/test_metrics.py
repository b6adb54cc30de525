"""A running service offers every metric that OBSERVABILITY.md names, joins ids and logs, and answers probes."""

from __future__ import annotations

import base64
import io
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
import yaml
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from qdrant_client import QdrantClient, models

from deployments.metrics.instruments import PREFIX
from serve_app.auth.tenants import digest
from tests.support.observability_page import OF_RAY, table
from tests.support.running import RunningService

MINILM, VISION = "sentence-transformers/all-minilm-l6-v2", "starter/clip-shapes-vision"
NOT_HERE = {
    "gpu_memory_used_bytes": "this machine has no GPU, or the replicas do not run on it",
    "gpu_memory_total_bytes": "the same",
    "provider_calls_total": "no external provider is called",
    "provider_call_seconds": "the same",
    "provider_retries_total": "the same",
    "vector_cache_total": "every search of a test runs its model",
}
ID = "an-id-of-the-metrics-test"
KEY = "the-key-of-a-tenant-with-a-quota"
QUOTA = 10_000_000

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


def drawing() -> str:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of its own, with a tenant: only quotas make their metric."""
    folder = tmp_path_factory.mktemp("metrics")
    tenant = {"name": "shop", "keys": [digest(KEY.encode())], "quotas": {"*": {"tokens_per_month": QUOTA}}}
    (folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [tenant]}))
    variables = {
        "RAY_metrics_report_interval_ms": "2000",
        "QDRANT_API_KEY": "the-key-of-everybody-else",
        "QDRANT_INFERENCE_TENANTS": str(folder / "tenants.yaml"),
    }
    running = RunningService(folder, variables).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"


@pytest.fixture(scope="module")
def http(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.rest_address, timeout=60, headers={"api-key": KEY}) as client:
        yield client


@pytest.fixture(scope="module")
def collection(service: RunningService, http: httpx.Client) -> str:
    """A collection, after requests of all kinds have been sent to it."""
    name = f"metrics-{uuid.uuid4()}"
    vectors = {"text": {"size": 384, "distance": "Cosine"}, "image": {"size": 128, "distance": "Cosine"}}
    http.put(f"/collections/{name}", json={"vectors": vectors}).raise_for_status()
    points = [{"id": n, "vector": {"text": {"text": "long " * n * 40, "model": MINILM}}} for n in range(1, 12)]
    points.append({"id": 20, "vector": {"image": {"image": drawing(), "model": VISION}}})
    http.put(f"/collections/{name}/points?wait=true", json={"points": points}).raise_for_status()
    for image in ("http://127.0.0.1:9/x.png", base64.b64encode(b"no image").decode()):
        bad = {"points": [{"id": 1, "vector": {"image": {"image": image, "model": VISION}}}]}
        assert http.put(f"/collections/{name}/points", json=bad).status_code == 400
    query = {"query": {"text": "tea", "model": MINILM}, "using": "text"}
    for _ in range(3):
        http.post(f"/collections/{name}/points/query", json=query, headers={"x-request-id": ID}).raise_for_status()
    client = QdrantClient(
        url=service.rest_address,
        grpc_port=service.grpc_port,
        api_key=KEY,
        prefer_grpc=True,
        cloud_inference=True,
        timeout=60,
    )
    client.query_points(name, query=models.Document(text="tea", model=MINILM), using="text")
    client.close()
    assert http.put(f"/collections/{name}/points", content=b" " * (33 << 20)).status_code == 413
    return name


_TWO_REPORTS_S = 5


def scraped(service: RunningService) -> dict[str, list[Any]]:
    """The samples by name."""
    text = httpx.get(service.metrics_address, timeout=30).text
    samples: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def wanted() -> set[str]:
    names = {name for name in table() if name.removeprefix(PREFIX) not in NOT_HERE}
    histograms = {name for name in names if table()[name][0] == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return {f"ray_{name}" for name in names - histograms | parts} | OF_RAY


@pytest.fixture(scope="module")
def samples(service: RunningService, collection: str) -> dict[str, list[Any]]:
    """What the exporter tells, once it tells of all that was sent."""
    deadline = time.monotonic() + 60
    found = scraped(service)
    while (missing := wanted() - found.keys()) and time.monotonic() < deadline:
        time.sleep(1)
        # Ray Serve tells some of its gauges less often than they are forgotten here.
        found |= scraped(service)
    assert not missing
    # The last request that was sent is told of, but perhaps by half: after another report there is nothing new.
    while not total(found, "rejected_total", reason="too large") and time.monotonic() < deadline:
        time.sleep(1)
        found |= scraped(service)
    time.sleep(_TWO_REPORTS_S)
    return found | scraped(service)


def total(samples: dict[str, list[Any]], name: str, **labels: str) -> float:
    return sum(s.value for s in samples[f"ray_{PREFIX}{name}"] if labels.items() <= s.labels.items())


def test_the_exporter_has_every_documented_metric(samples: dict[str, list[Any]]) -> None:
    for name, (_, labels, *_) in table().items():
        for suffix in ("", "_sum"):
            for sample in samples.get(f"ray_{name}{suffix}", ()):
                assert set(labels.replace("-", "").split(", ")) - {""} <= sample.labels.keys()


def test_its_figures_are_those_of_what_was_sent(samples: dict[str, list[Any]]) -> None:
    assert total(samples, "requests_total", protocol="rest", operation="search", status="200") >= 3
    assert total(samples, "requests_total", protocol="grpc", operation="search", status="OK") >= 1
    assert total(samples, "objects_total", model=MINILM, operation="update") >= 11
    assert total(samples, "truncated_inputs_total", model=MINILM) >= 4
    assert total(samples, "images_total", source="base64", result="loaded") >= 1
    assert total(samples, "images_total", source="url", result="not fetched") >= 1
    assert total(samples, "images_total", source="base64", result="not decoded") >= 1
    assert total(samples, "rejected_total", reason="too large") >= 1
    assert total(samples, "upstream_up") == 1
    assert total(samples, "provider_info", model=MINILM) == 1
    assert 0 < total(samples, "quota_used_ratio", model=MINILM, window="month") < 0.001
    assert total(samples, "replicas_wanted", deployment="qdrant--bm25") <= 1
    assert total(samples, "replicas_maximum", deployment="qdrant--bm25") == 1


def test_the_stages_of_a_search_take_no_longer_than_the_search(samples: dict[str, list[Any]]) -> None:
    stages = ("read", "decode", "embed", "encode", "store")
    parts = sum(total(samples, "stage_seconds_sum", operation="search", stage=stage) for stage in stages)
    assert 0 < parts <= total(samples, "request_seconds_sum", operation="search")
    assert total(samples, "stage_seconds_sum", stage="run") > 0


def test_no_label_has_more_values_than_the_software_knows(samples: dict[str, list[Any]], collection: str) -> None:
    ours = [sample for name, found in samples.items() if name.startswith(f"ray_{PREFIX}") for sample in found]
    assert collection not in repr(ours)
    assert {s.labels["operation"] for s in ours if "operation" in s.labels} <= {
        "update",
        "search",
        "other",
        "check",
        "",
    }
    assert {s.labels["protocol"] for s in ours if "protocol" in s.labels} == {"rest", "grpc"}


def test_an_id_comes_back_and_stands_in_the_request_log(
    service: RunningService, http: httpx.Client, collection: str
) -> None:
    asked = http.get(f"/collections/{collection}", headers={"x-request-id": ID})
    assert asked.headers["x-request-id"] == ID
    made = http.get(f"/collections/{collection}").headers["x-request-id"]
    logged = request_log_with(made, service)
    assert {line["operation"] for line in logged if line["request_id"] == ID} == {"search", "other"}
    assert collection not in repr(logged)
    assert {line["route"] for line in logged} <= {"other"} | {
        line["route"] for line in logged if re.fullmatch(r"[A-Z]+ /[\w/{}-]*|/[\w.]+/\w+", line["route"])
    }


def request_log_with(request_id: str, service: RunningService) -> list[dict[str, Any]]:
    """The log once this request stands in it, which may be a moment after its answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        files = service.logs.rglob("requests_*.log")
        logged = [orjson.loads(line) for file in files for line in file.read_text().splitlines()]
        if request_id in {line["request_id"] for line in logged}:
            return logged
        time.sleep(0.05)
    raise AssertionError(f"request {request_id} was not logged")


def test_probes_are_answered_by_the_gateway(http: httpx.Client) -> None:
    assert http.get("/livez").text == "healthz check passed"
    assert http.get("/readyz").text == "all shards are ready"
    verbose = http.get("/readyz?verbose").text
    assert "[+] qdrant: ready" in verbose
    assert f"[+] {MINILM}: ready" in verbose
