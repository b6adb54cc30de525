"""The whole path of a request, with a fake model and a fake Qdrant, over both protocols."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import pytest
from qdrant_client import grpc as q

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import (
    ImageBatch,
    LoadedImages,
)
from deployments.errors import UpstreamUnavailable
from serve_app.config.settings import IngressSettings
from serve_app.protocol.messages import Request, Response
from tests.support.cards import BOTH, MANY
from tests.support.fakes import FakeManyModel, FakeModel, FakeQdrant, dense, load_images
from tests.support.gateway import UPSERT, Context, Gateway


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


TEXT_QUERY = {"query": {"text": "red"}, "using": "t"}


@pytest.mark.parametrize("text", ["red", {"query": "red", "scoring": {"bm25": {"k": 1.2}}}])
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"prefetch": [{"query": {"text": "tea", "model": "org/dense"}, "using": "v"}]},
        {"filter": {"must": [{"key": "model", "match": {"value": "x"}}]}},
        {"filter": {"must": [{"key": "k", "match": {"value": "\u00e9"}}]}},
    ],
)
async def test_a_query_by_a_text_index_passes_whatever_stands_beside_it(
    gateway: Gateway, text: Any, beside: Any
) -> None:
    body = {"query": {"text": text}, "using": "t", **beside}
    content = json.dumps(body)
    answer = await gateway.client.post("/collections/c/points/query", content=content)
    assert answer.status_code == 200
    assert gateway.qdrant.body["query"] == body["query"]
    if "prefetch" in beside:
        assert len(gateway.qdrant.body["prefetch"][0]["query"]) == 4
    else:
        assert gateway.qdrant.requests[0].body == content.encode()


@pytest.mark.parametrize("payload", [{}, {"model": "x"}, {"k": "\u00e9"}])
async def test_a_document_without_a_model_is_told_so_once_qdrant_refuses_it(gateway: Gateway, payload: Any) -> None:
    gateway.qdrant.status, gateway.qdrant.answer = 400, {"status": {"error": "no variant of VectorStruct"}}
    point = {"id": 1, "vector": {"text": "tea"}, "payload": payload}
    for points in ([point], [{"id": 2, "vector": {"text": "tea", "model": "org/dense"}}, point]):
        answer = await gateway.put(json.dumps({"points": points}).encode())
        place = f"points[{len(points) - 1}].vector"
        assert answer.status_code == 400
        assert answer.json()["status"]["error"] == f"{place}: an inference object needs 'model', the name of a model"


async def test_what_qdrant_says_of_a_text_query_passes_unchanged(gateway: Gateway) -> None:
    gateway.qdrant.status, gateway.qdrant.answer = 400, {"status": {"error": "no text index with scoring on t"}}
    answer = await gateway.client.post("/collections/c/points/query", json=TEXT_QUERY)
    assert (answer.status_code, answer.json()) == (400, gateway.qdrant.answer)


async def test_a_body_that_is_no_json_is_for_qdrant_to_refuse(gateway: Gateway) -> None:
    gateway.qdrant.status, gateway.qdrant.answer = 400, {"status": {"error": "Format error in JSON body"}}
    answer = await gateway.put(b'{"points": [{"vector": {"text": "a", "model": "org/dense"}]')
    assert (answer.status_code, answer.json()) == (400, gateway.qdrant.answer)


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
async def test_an_answers_length_passes_once_and_as_it_is(method: str, body: bytes) -> None:
    class Lengthy(FakeQdrant):
        async def rest(self, _: Request) -> Response:
            return Response(200, [(b"content-length", b"2")], body)

    answer = await Gateway(qdrant=Lengthy()).client.request(method, "/collections")
    assert answer.headers.get_list("content-length") == ["2"]


async def test_qdrants_own_errors_pass_unchanged(gateway: Gateway) -> None:
    gateway.qdrant.status, gateway.qdrant.answer = 404, {"status": {"error": "Not found"}, "time": 0.5}
    answer = await gateway.put(UPSERT)
    assert (answer.status_code, answer.json()) == (404, gateway.qdrant.answer)


async def test_a_body_over_the_limit_is_413() -> None:
    gateway = Gateway(settings=IngressSettings(body_bytes=100))
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


async def test_a_compressed_body_that_is_looked_into_is_forwarded_as_it_was_read(gateway: Gateway) -> None:
    body = b'{"points": [{"id": 1, "vector": [0.1]}]}'
    await gateway.put(gzip.compress(body), headers={"content-encoding": "gzip"})
    (request,) = gateway.qdrant.requests
    assert (request.body, request.encodings) == (body, ())


async def test_a_compressed_body_that_is_not_looked_into_passes_as_the_same_bytes(gateway: Gateway) -> None:
    body = gzip.compress(b'{"points": [1]}')
    await gateway.client.post("/collections/c/points/delete", content=body, headers={"content-encoding": "gzip"})
    (request,) = gateway.qdrant.requests
    assert (request.body, request.encodings) == (body, ("gzip",))


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no gzip", 400), (gzip.compress(b"{}")[:-4], 400), (gzip.compress(b" " * 2000), 413)],
    ids=["no gzip", "cut off", "too long"],
)
async def test_a_body_that_cannot_be_decompressed_is_refused(body: bytes, status: int) -> None:
    gateway = Gateway(settings=IngressSettings(body_bytes=1000))
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
    gateway = Gateway(settings=IngressSettings(timeout_s=0.05))
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


async def test_vectors_to_be_stored_over_rest_come_as_json_unless_they_are_cut() -> None:
    dense_model = FakeModel()
    gateway = Gateway(models={"org/dense": dense_model})
    text = {"text": "tea", "model": "org/dense"}
    points = [
        {"id": 1, "vector": {"d": text}, "payload": {"n": 1}},
        {"id": 2, "vector": {"d": [0.5] * 4}},
    ]
    await gateway.client.put("/collections/c/points", json={"points": points})
    stored = gateway.qdrant.body["points"]
    assert stored[0] | {"vector": None} == {"id": 1, "vector": None, "payload": {"n": 1}}
    assert np.array_equal(np.array(stored[0]["vector"]["d"], np.float32), dense(dense_model.batches[0].inputs[0]))
    assert stored[1] == points[1]
    points[1]["vector"] = {"d": {**text, "options": {"mrl": 2}}}
    await gateway.client.put("/collections/c/points", json={"points": points})
    assert len(gateway.qdrant.body["points"][1]["vector"]["d"]) == 2
    await gateway.client.post("/collections/c/points/query", json={"query": text})
    assert [batch.as_json for batch in dense_model.batches] == [True, False, False]


async def test_texts_and_images_go_to_one_model_by_one_name() -> None:
    """One question and one picture in a request: two calls of the model, and the image loader stretches."""
    both, asked = FakeModel(), list[ImageBatch]()

    async def loader(batch: ImageBatch) -> LoadedImages:
        asked.append(batch)
        return await load_images(batch)

    catalogue = Catalogue((BOTH,), Path("test.yaml"))
    gateway = Gateway(catalogue, models={"org/both": both}, keeps_vectors=True, load=loader)
    wanted = [{"text": "aGk=", "model": "ORG/both"}, {"image": "aGk=", "model": "org/both"}]
    for kind in wanted:
        answer = await gateway.client.post("/collections/c/points/query", content=orjson.dumps({"query": kind}))
        assert answer.json()["usage"]["inference"]["models"]["org/both"]["tokens"] > 0
    await gateway.put({"points": [{"id": n, "vector": vector} for n, vector in enumerate(wanted)]})
    assert [batch.reads for batch in both.batches] == ["text", "image", "text", "image"]
    assert {(batch.model, batch.side, batch.fit, batch.resample) for batch in asked} == {
        ("org/both", 2, "stretch", "bilinear")
    }
    text, image = (point["vector"] for point in gateway.qdrant.body["points"])
    assert text == pytest.approx(dense("aGk=").tolist())
    assert image == pytest.approx(dense(both.batches[-1].inputs[0]).tolist())


async def test_three_vectors_of_a_text_are_one_call_of_one_model() -> None:
    """As of BGE-M3: dense, sparse and multivector under three names; tokens count once, for the network."""
    many = FakeManyModel()
    names = {"dense": "org/many", "words": "org/many-sparse", "late": "org/many-colbert"}
    gateway = Gateway(Catalogue((MANY,), Path("test.yaml")), models={"org/many": many})
    vector = {name: {"text": "tea", "model": model} for name, model in names.items()}
    answer = await gateway.put({"points": [{"id": 1, "vector": vector}]})
    assert answer.json()["usage"]["inference"]["models"] == {"org/many": {"tokens": 5}}
    (batch,) = many.batches
    assert (batch.inputs, batch.kinds) == (["passage: tea"], ("dense", "multivector", "sparse"))
    assert gateway.qdrant.body["points"][0]["vector"] == {
        "dense": [1, 1, 1, 1],
        "words": {"indices": [7], "values": [1]},
        "late": [[1, 1, 1], [1, 1, 1]],
    }


async def test_a_text_that_is_known_for_one_kind_is_not_for_another() -> None:
    many = FakeManyModel()
    gateway = Gateway(Catalogue((MANY,), Path("test.yaml")), models={"org/many": many}, keeps_vectors=True)
    for model in ("org/many", "org/many-sparse", "org/many"):
        query = {"query": {"text": "tea", "model": model}, "using": "v"}
        assert (await gateway.client.post("/collections/c/points/query", content=orjson.dumps(query))).is_success
    assert [batch.kinds for batch in many.batches] == [(), ("sparse",)], "the last one was known"
    assert gateway.qdrant.body["query"] == [1, 1, 1, 1]
