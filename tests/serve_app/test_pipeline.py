"""The whole path of a request, with a fake model and a fake Qdrant, through both doors."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import grpc
import httpx
import orjson
import pytest
from qdrant_client import grpc as q

from deployments.catalogue import Catalogue
from deployments.errors import UpstreamUnavailable
from serve_app.exchange import Request, Response
from serve_app.grpc_api import GrpcApi
from serve_app.http_api import HttpApi
from serve_app.limits import Limits
from serve_app.pipeline import Pipeline
from serve_app.router import Router
from tests.fakes import FakeModel, FakeQdrant, FakeSparseModel, dense, load_images
from tests.serve_app.inference.test_plan import CATALOGUE

UPSERT = {"points": [{"id": 1, "vector": {"text": "tea", "model": "org/dense"}, "payload": {"a": 1}}]}


class Gateway:
    """Both doors on one pipeline."""

    def __init__(self, catalogue: Catalogue = CATALOGUE, limits: Limits | None = None) -> None:
        self.qdrant = FakeQdrant()
        self.model = FakeModel()
        calls = {"org/dense": self.model, "org/vision": self.model, "qdrant/bm25": FakeSparseModel()}
        limits = limits or Limits()
        self.router = router = Router(calls, limits.coalescing)
        self.pipeline = Pipeline(catalogue, router, self.qdrant, load_images, limits)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(HttpApi(self.pipeline)), base_url="http://gateway"
        )
        self.grpc = GrpcApi(self.pipeline)

    async def put(self, body: Any, path: str = "/collections/c/points", **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.client.put(path, content=content, **options)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


class Context:
    """What Ray Serve hands to a gRPC method."""

    def __init__(self) -> None:
        self.code: Any = None
        self.details = ""
        self.metadata: Any = []

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("api-key", "k"), ("user-agent", "x"), ("grpc-timeout", "1S")]

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self.metadata = metadata


async def test_an_object_is_replaced_and_the_usage_told(gateway: Gateway) -> None:
    answer = await gateway.put(UPSERT, "/collections/c/points?wait=true")
    assert answer.status_code == 200
    assert answer.json() == {
        "result": {"status": "completed"},
        "status": "ok",
        "time": 0.001,
        "usage": {"inference": {"models": {"org/dense": {"tokens": len("passage: tea")}}}},
    }
    point = gateway.qdrant.body["points"][0]
    assert point["vector"] == pytest.approx(dense("passage: tea").tolist())
    assert point["payload"] == {"a": 1}
    assert gateway.qdrant.requests[0].query == "wait=true"


async def test_usage_is_merged_with_what_qdrant_tells(gateway: Gateway) -> None:
    gateway.qdrant.answer = {"result": {}, "usage": {"hardware": {"cpu": 3}, "inference": None}}
    usage = (await gateway.put(UPSERT)).json()["usage"]
    assert usage["hardware"] == {"cpu": 3}
    assert usage["inference"]["models"]["org/dense"]["tokens"] > 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/collections/c/points", b'{ "points": [ {"id": 1, "vector": [0.10, 1e-7]} ] }'),
        ("PUT", "/collections/c/points", b'{"points":[{"id":1,"vector":[0.1],"payload":{"model":"x"}}]}'),
        ("PUT", "/collections/c/points", b"not json at all"),
        ("POST", "/collections/c/points/delete", b'{"points":[{"text":"a","model":"b"}]}'),
        ("PATCH", "/not/known/yet", b"\x00\xff"),
        ("GET", "/collections/a%20b%2Fc", b""),
    ],
)
async def test_a_request_without_objects_passes_as_the_same_bytes(
    gateway: Gateway, method: str, path: str, body: bytes
) -> None:
    answer = await gateway.client.request(method, path + "?x=%20y&x=", content=body, headers={"X-Trace": "1"})
    assert answer.json() == gateway.qdrant.answer
    (request,) = gateway.qdrant.requests
    assert (request.method, request.path, request.query, request.body) == (method, path, "x=%20y&x=", body)
    assert (b"x-trace", b"1") in request.headers


async def test_nothing_is_forwarded_when_one_object_fails(gateway: Gateway) -> None:
    points = [
        {"id": 1, "vector": {"text": "a", "model": "org/dense"}},
        {"id": 2, "vector": {"text": "a", "model": "x"}},
    ]
    answer = await gateway.put({"points": points})
    assert answer.status_code == 400
    assert answer.json()["result"] is None
    assert answer.json()["status"]["error"].startswith("points[1].vector: no model 'x'")
    assert gateway.qdrant.requests == []


async def test_an_image_that_cannot_be_loaded_is_named_by_its_place(gateway: Gateway) -> None:
    points = [{"id": n, "vector": {"image": image, "model": "org/vision"}} for n, image in enumerate(("ok", "bad"))]
    answer = await gateway.put({"points": points})
    assert (answer.status_code, answer.json()["status"]["error"]) == (400, "points[1].vector.image: not an image")
    assert gateway.qdrant.requests == []


@pytest.mark.parametrize(("method", "body"), [("HEAD", b""), ("GET", b"{}")])
async def test_an_answers_length_passes_once_and_as_it_is(gateway: Gateway, method: str, body: bytes) -> None:
    class Lengthy(FakeQdrant):
        async def rest(self, _: Request) -> Response:
            return Response(200, [(b"content-length", b"2")], body)

    gateway.pipeline._upstream = Lengthy()
    answer = await gateway.client.request(method, "/collections")
    assert answer.headers.get_list("content-length") == ["2"]


async def test_qdrants_own_errors_pass_unchanged(gateway: Gateway) -> None:
    gateway.qdrant.status, gateway.qdrant.answer = 404, {"status": {"error": "Not found"}, "time": 0.5}
    answer = await gateway.put(UPSERT)
    assert (answer.status_code, answer.json()) == (404, gateway.qdrant.answer)


async def test_a_body_over_the_limit_is_413() -> None:
    gateway = Gateway(limits=Limits(body_bytes=100))
    answer = await gateway.put(b" " * 101)
    assert answer.status_code == 413
    assert "100 bytes" in answer.json()["status"]["error"]
    assert (await gateway.put(b" " * 100)).status_code == 200


async def test_objects_in_a_compressed_body_are_found(gateway: Gateway) -> None:
    compressed = gzip.compress(orjson.dumps(UPSERT))
    answer = await gateway.put(compressed, headers={"content-encoding": "gzip"})
    assert answer.json()["usage"]["inference"]["models"]
    assert gateway.qdrant.body["points"][0]["vector"] == pytest.approx(dense("passage: tea").tolist())
    assert b"content-encoding" not in {name for name, _ in gateway.qdrant.requests[0].headers}


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_a_compressed_body_without_objects_passes_as_the_same_bytes(gateway: Gateway, encoding: str) -> None:
    body = gzip.compress(b'{"points": [{"id": 1, "vector": [0.1]}]}')
    await gateway.put(body, headers={"content-encoding": encoding})
    (request,) = gateway.qdrant.requests
    assert request.body == body
    assert request.encoding == encoding


@pytest.mark.parametrize(
    ("body", "status"), [(b"no gzip", 400), (gzip.compress(b"{}")[:-4], 400), (gzip.compress(b" " * 2000), 413)]
)
async def test_a_body_that_cannot_be_decompressed_is_refused(body: bytes, status: int) -> None:
    gateway = Gateway(limits=Limits(body_bytes=1000))
    answer = await gateway.put(body, headers={"content-encoding": "gzip"})
    assert answer.status_code == status
    assert gateway.qdrant.requests == []


async def test_an_unreachable_qdrant_is_503_with_retry_after(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(request: Any) -> Any:
        raise UpstreamUnavailable("Qdrant cannot be reached", retry_after=1.2)

    monkeypatch.setattr(gateway.qdrant, "rest", away)
    answer = await gateway.put(UPSERT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_models_that_do_not_answer_in_time_are_504(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(limits=Limits(timeout_s=0.05))
    monkeypatch.setattr(FakeModel, "__call__", lambda *_: asyncio.sleep(60))
    answer = await gateway.put(UPSERT)
    assert answer.status_code == 504
    assert gateway.qdrant.requests == []


async def test_a_bug_is_500_in_qdrants_shape_and_logs_no_input(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Any) -> Any:
        raise ValueError(f"cannot embed {batch.inputs}")

    monkeypatch.setattr(FakeModel, "__call__", lambda _, batch: broken(batch))
    answer = await gateway.put(UPSERT)
    assert answer.status_code == 500
    assert "tea" not in answer.text + caplog.text
    assert "ValueError" in caplog.text


async def test_a_grpc_call_is_filled_and_tells_the_usage(gateway: Gateway) -> None:
    vector = q.Vector(document=q.Document(text="tea", model="ORG/dense"))
    message = q.UpsertPoints(collection_name="c", points=[q.PointStruct(vectors=q.Vectors(vector=vector))])
    answer: Any = await gateway.grpc.answer("Upsert", message, Context())
    ((method, sent),) = gateway.qdrant.messages
    assert method == "/qdrant.Points/Upsert"
    assert list(sent.points[0].vectors.vector.dense.data) == pytest.approx(dense("passage: tea").tolist())  # type: ignore[attr-defined]
    assert answer.usage.inference.models["org/dense"].tokens == len("passage: tea")


async def test_methods_of_one_name_are_told_apart_by_their_message(gateway: Gateway) -> None:
    await gateway.grpc.answer("Get", q.GetPoints(collection_name="c"), Context())
    await gateway.grpc.answer("Get", q.GetCollectionInfoRequest(collection_name="c"), Context())
    assert [method for method, _ in gateway.qdrant.messages] == ["/qdrant.Points/Get", "/qdrant.Collections/Get"]


async def test_a_grpc_error_has_a_status_and_forwards_nothing(gateway: Gateway) -> None:
    nearest = q.VectorInput(document=q.Document(text="tea", model="none"))
    context = Context()
    await gateway.grpc.answer("Query", q.QueryPoints(query=q.Query(nearest=nearest)), context)
    assert context.code is grpc.StatusCode.INVALID_ARGUMENT
    assert context.details.startswith("query.nearest: no model 'none'")
    assert gateway.qdrant.messages == []


async def test_rest_and_grpc_compute_the_same_vectors(gateway: Gateway) -> None:
    await gateway.client.post(
        "/collections/c/points/query", json={"query": {"text": "tea", "model": "org/dense", "options": {"mrl": 2}}}
    )
    document = q.Document(text="tea", model="org/dense", options={"mrl": q.Value(integer_value=2)})
    query = q.Query(nearest=q.VectorInput(document=document))
    await gateway.grpc.answer("Query", q.QueryPoints(query=query), Context())
    sent: Any = gateway.qdrant.messages[0][1]
    assert gateway.qdrant.body["query"] == pytest.approx(list(sent.query.nearest.dense.data))


class SlowModel(FakeModel):
    """Never answers, and counts who gave up on it."""

    given_up = 0

    async def __call__(self, batch: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise


def impatient(**limits: Any) -> Gateway:
    gateway = Gateway(limits=Limits(**limits))
    gateway.pipeline._router._calls = {"org/dense": SlowModel()}  # type: ignore[dict-item]
    return gateway


async def test_the_callers_timeout_counts_where_it_is_shorter() -> None:
    gateway = impatient(timeout_s=30)
    answer = await gateway.put(UPSERT, "/collections/c/points?wait=true&timeout=1")
    assert (answer.status_code, answer.json()["status"]["error"]) == (
        504,
        "the models did not answer within 1 s (timeout_s, or the caller's own)",
    )
    request = q.QueryPoints(
        collection_name="c",
        query=q.Query(nearest=q.VectorInput(document=q.Document(text="tea", model="org/dense"))),
        timeout=1,
    )
    context = Context()
    await gateway.grpc.answer("Query", request, context)
    assert (context.code, context.details) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "the models did not answer within 1 s (timeout_s, or the caller's own)",
    )
    assert gateway.qdrant.requests == gateway.qdrant.messages == []


async def test_a_model_without_replicas_is_503_with_the_time_after_which_to_ask_again() -> None:
    async def states() -> dict[str, str]:
        return {"org/dense": "loading"}

    gateway = impatient(timeout_s=0.05)
    gateway.pipeline.model_states = states
    answer = await gateway.put(UPSERT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["status"]["error"].startswith("org/dense is loading: no replica came within 0.05 s")


async def test_a_model_whose_state_nobody_tells_is_504(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.pipeline._STATES_S", 0.01)
    gateway = impatient(timeout_s=0.05)
    gateway.pipeline.model_states = asyncio.Event().wait  # type: ignore[assignment]
    assert (await gateway.put(UPSERT)).status_code == 504


@pytest.mark.parametrize(
    "query", ["", "?timeout=60", "?timeout=x", "?timeout=" + "9" * 5000, "?xtimeout=1", "?timeout=0", "?timeout="]
)
async def test_the_configured_timeout_counts_otherwise(query: str) -> None:
    answer = await impatient(timeout_s=0.05).put(UPSERT, f"/collections/c/points{query}")
    assert (
        answer.json()["status"]["error"] == "the models did not answer within 0.05 s (timeout_s, or the caller's own)"
    )


async def test_what_inference_used_of_the_callers_time_is_gone_for_qdrant(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(limits=Limits(timeout_s=30))
    embed = FakeModel.__call__

    async def slow(self: FakeModel, batch: Any) -> Any:
        await asyncio.sleep(1.1)
        return await embed(self, batch)

    monkeypatch.setattr(FakeModel, "__call__", slow)
    answer, context = await asyncio.gather(
        gateway.put(UPSERT, "/collections/c/points?timeout=3&wait=true"), _asked_over_grpc(gateway, timeout=3)
    )
    assert (answer.status_code, context.code) == (200, None)
    ((_, message),) = gateway.qdrant.messages
    assert gateway.qdrant.requests[0].query == "timeout=2&wait=true"
    assert message.timeout == 2
    for limit in (gateway.qdrant.requests[0].time, gateway.qdrant.calls[0].time):
        assert 1.5 < limit.left_s <= 1.9


async def _asked_over_grpc(gateway: Gateway, timeout: int | None) -> Context:
    document = q.VectorInput(document=q.Document(text="coffee", model="org/dense"))
    context = Context()
    message = q.QueryPoints(collection_name="c", query=q.Query(nearest=document), timeout=timeout)
    await gateway.grpc.answer("Query", message, context)
    return context


async def test_what_was_asked_for_is_passed_on_as_it_is_where_nothing_is_inferred(gateway: Gateway) -> None:
    await gateway.client.get("/collections/c/points/1?timeout=7&a=%20")
    await gateway.grpc.answer("Delete", q.DeletePoints(collection_name="c", timeout=7), Context())
    assert gateway.qdrant.requests[0].query == "timeout=7&a=%20"
    assert gateway.qdrant.messages[0][1].timeout == 7
    for limit in (gateway.qdrant.requests[0].time, gateway.qdrant.calls[0].time):
        assert 6 < limit.left_s <= 7
        assert limit.silence_s == Limits().qdrant_timeout_s


async def test_without_a_timeout_qdrant_has_what_the_configuration_says() -> None:
    gateway = Gateway(limits=Limits(timeout_s=20, qdrant_timeout_s=40))
    await gateway.put(UPSERT)
    await gateway.client.get("/collections")
    await _asked_over_grpc(gateway, timeout=None)
    await gateway.grpc.answer("Count", q.CountPoints(collection_name="c"), Context())
    upsert, listing = (request.time.left_s for request in gateway.qdrant.requests)
    query, count = (call.time.left_s for call in gateway.qdrant.calls)
    assert upsert == pytest.approx(20, abs=1) == query
    assert listing == pytest.approx(40, abs=1) == count
    assert not gateway.qdrant.messages[0][1].HasField("timeout")


async def test_a_caller_may_have_more_patience_with_qdrant_than_the_configuration() -> None:
    gateway = Gateway(limits=Limits(qdrant_timeout_s=40))
    await gateway.client.put("/collections/c?timeout=200", content=b"{}")
    assert gateway.qdrant.requests[0].time.left_s == pytest.approx(200, abs=1)


async def test_what_comes_in_after_its_time_is_not_begun() -> None:
    async def late() -> Any:
        yield orjson.dumps(UPSERT)[:5]
        await asyncio.sleep(1.1)
        yield orjson.dumps(UPSERT)[5:]

    gateway = Gateway()
    answer = await gateway.client.put("/collections/c/points?timeout=1", content=late())
    assert answer.status_code == 504
    assert gateway.model.batches == gateway.qdrant.requests == []


async def test_a_message_over_the_limit_is_refused_with_its_size() -> None:
    gateway = Gateway(limits=Limits(body_bytes=100))
    vector = q.Vector(document=q.Document(text="tea" * 50, model="org/dense"))
    message = q.UpsertPoints(collection_name="c", points=[q.PointStruct(vectors=q.Vectors(vector=vector))])
    context = Context()
    await gateway.grpc.answer("Upsert", message, context)
    assert (context.code, context.details) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"the message has {message.ByteSize()} bytes; at most 100 are allowed (body_bytes)",
    )
    assert gateway.model.batches == gateway.qdrant.messages == []


async def test_a_client_that_hangs_up_gives_its_place_back() -> None:
    gateway = impatient(queue_tokens=5)
    waiting = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    assert (await gateway.put(UPSERT)).status_code == 429
    waiting.cancel()
    await asyncio.wait([waiting])
    again = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    assert not again.done()
    again.cancel()
    assert gateway.qdrant.requests == []


async def test_nesting_is_limited_as_the_configuration_says() -> None:
    gateway = Gateway(limits=Limits(depth=5))
    query: Any = {"query": {"text": "tea", "model": "org/dense"}}
    path = "/collections/c/points/query"
    assert (await gateway.client.post(path, json={"prefetch": query})).status_code == 200
    for _ in range(5):
        query = {"prefetch": query}
    answer = await gateway.client.post(path, json=query)
    assert answer.status_code == 400
    assert answer.json()["status"]["error"] == "the body is nested deeper than 5 levels (depth)"


async def test_too_much_waiting_work_is_refused_with_a_time_to_come_back() -> None:
    gateway = impatient(queue_tokens=5, timeout_s=0.2)
    waiting = asyncio.create_task(gateway.put(UPSERT))
    await asyncio.sleep(0.05)
    refused = await gateway.put({"points": [{"id": 1, "vector": {"text": "x" * 30, "model": "org/dense"}}]})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert (await waiting).status_code == 504
    assert gateway.qdrant.requests == []


async def test_a_request_over_a_limit_reaches_neither_model_nor_store() -> None:
    gateway = Gateway(limits=Limits(objects=1))
    points = [{"id": n, "vector": {"text": "tea", "model": "org/dense"}} for n in range(2)]
    answer = await gateway.put({"points": points})
    assert answer.status_code == 400
    assert "at most 1 are allowed (objects)" in answer.json()["status"]["error"]
    assert gateway.model.batches == gateway.qdrant.requests == []
