"""One line for each request, without a word of what the request holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from serve_app.api.route_templates import template
from serve_app.config.settings import IngressSettings
from serve_app.observability.record import Watch
from serve_app.observability.request_log import Form
from serve_app.protocol.paths import normalized
from tests.support.gateway import UPSERT, Context
from tests.support.seeing import Seen, query

SECRET = "a-text-that-nobody-may-see"


def written(file: Path) -> list[str]:
    return file.read_text().splitlines()


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in written(file)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "requests.log"


Logging = Callable[..., Seen]


@pytest.fixture
def logging(file: Path) -> Iterator[Logging]:
    watch = Watch()

    def gateway(form: Form = "json") -> Seen:
        watch.log_as(form, lambda: file)
        return Seen(watch)

    yield gateway
    watch.close()


async def test_a_line_tells_id_route_models_counts_times_and_status(file: Path, logging: Logging) -> None:
    gateway = logging()
    await gateway.put(UPSERT, headers={"x-request-id": "call-1"})
    (line,) = lines(file)
    assert line.pop("time").endswith("+00:00")
    assert line.pop("seconds") > 0
    assert line.pop("stages").keys() == {"read", "decode", "embed org/dense", "encode", "store"}
    assert line == {
        "request_id": "call-1",
        "protocol": "rest",
        "route": "PUT /collections/{collection}/points",
        "operation": "update",
        "status": "200",
        "error": "",
        "objects": {"org/dense": 1},
        "tokens": {"org/dense": len("passage: tea")},
    }


async def test_a_grpc_call_has_its_methods_name(file: Path, logging: Logging) -> None:
    gateway = logging()
    await gateway.grpc.answer("Query", query(), Context())
    (line,) = lines(file)
    assert (line["protocol"], line["route"], line["status"]) == ("grpc", "/qdrant.Points/Query", "OK")


async def test_a_failed_request_names_its_error(file: Path, logging: Logging) -> None:
    gateway = logging()
    await gateway.put({"points": [{"id": 1, "vector": {"text": "a", "model": "no/such"}}]})
    (line,) = lines(file)
    assert (line["status"], line["error"]) == ("400", "UnknownModel")


@pytest.mark.parametrize("form", ["json", "text"])
async def test_nothing_that_a_caller_wrote_is_logged(file: Path, logging: Logging, form: Form) -> None:
    gateway = logging(form)
    headers = {"x-request-id": f"{SECRET} with spaces", "api-key": SECRET, "x-other": SECRET}
    point = {"id": SECRET, "vector": {"text": SECRET, "model": "org/dense"}, "payload": {SECRET: SECRET}}
    await gateway.put({"points": [point]}, f"/collections/{SECRET}/points?{SECRET}={SECRET}", headers=headers)
    await gateway.put({"points": [{"id": 1, "vector": {"text": SECRET, "model": SECRET}}]}, headers=headers)
    await gateway.client.request(SECRET.upper(), f"/{SECRET}", headers=headers)
    await gateway.grpc.answer("Query", query(), Context())
    text = "\n".join(written(file))
    assert len(written(file)) == 4
    assert SECRET not in text.lower()


async def test_an_id_is_made_where_none_is_given(file: Path, logging: Logging) -> None:
    gateway = logging()
    await gateway.put(UPSERT)
    await gateway.put(UPSERT)
    first, second = (line["request_id"] for line in lines(file))
    assert first != second
    assert len(first) == 32


async def test_text_is_words_with_an_equals_sign(file: Path, logging: Logging) -> None:
    gateway = logging("text")
    await gateway.put(UPSERT, headers={"x-request-id": "call-1"})
    (line,) = written(file)
    assert 'route="PUT /collections/{collection}/points" operation=update status=200' in line
    assert "tokens=org/dense:12" in line


async def test_it_is_off_by_default_and_can_be_switched_while_running(file: Path) -> None:
    assert IngressSettings().request_log == "none"
    watch = Watch()
    gateway = Seen(watch)
    for form in ("none", "json", "none"):
        watch.log_as(form, lambda: file)  # type: ignore[arg-type]
        await gateway.put(UPSERT)
    assert len(lines(file)) == 1


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/collections/tea", "GET /collections/{collection}"),
        ("GET", "/collections/tea/", "GET /collections/{collection}"),
        ("DELETE", "/collections/tea/index/tea", "DELETE /collections/{collection}/index/{name}"),
        ("POST", "/inference", "POST /inference"),
        ("POST", "/v1/embeddings", "POST /v1/embeddings"),
        ("TEA", "/collections/tea", "other"),
        ("GET", "/tea", "other"),
    ],
)
def test_a_route_is_a_template(method: str, path: str, route: str) -> None:
    assert template(method, normalized(path)) == route
