"""The gateway in front of a real Qdrant: what it says is what Qdrant says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from qdrant_client import grpc as q

from tests.support.fakes import dense
from tests.support.gateway import Context, Gateway
from tests.support.real_qdrant import Addresses

OBJECT = {"text": "tea", "model": "org/dense"}
WORDS = {"text": "tea", "model": "qdrant/bm25"}
PAIR = {"positive": OBJECT, "negative": 2}
PREFETCHES = [{"query": OBJECT, "using": "a"}, {"query": WORDS, "using": "words"}]
VECTOR = [0.1, 0.2, 0.3, 0.4]


@pytest.fixture
async def direct(qdrant: Addresses) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=qdrant.rest, timeout=60) as client:
        yield client


@pytest.fixture
async def collection(direct: httpx.AsyncClient) -> AsyncIterator[str]:
    """An empty collection with a dense and a sparse vector."""
    name = f"real-{uuid.uuid4()}"
    config = {"vectors": {"a": {"size": 4, "distance": "Dot"}}, "sparse_vectors": {"words": {}}}
    assert (await direct.put(f"/collections/{name}", json=config)).status_code == 200
    yield name
    await direct.delete(f"/collections/{name}")


async def sent(gateway: Gateway, method: str, path: str, body: Any) -> Any:
    answer = await gateway.client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def point(number: int, **vectors: Any) -> dict[str, Any]:
    return {"id": number, "vector": vectors, "payload": {"n": number, "model": "x"}}


UPDATE = {"points": [{"id": 1, "vector": {"a": OBJECT}}]}
Sent = tuple[str, str, Any]


@pytest.mark.parametrize(
    "write",
    [
        ("PUT", "points", {"points": [point(1, a=OBJECT, words=WORDS)]}),
        ("PUT", "points", {"points": [{"id": 1, "vectors": {"a": OBJECT}}]}),
        ("PUT", "points", {"batch": {"ids": [1], "vectors": {"a": [OBJECT], "words": [WORDS]}}}),
        ("PUT", "points", {"batch": {"ids": [1], "vectors": {"a": [OBJECT]}, "payloads": [None]}}),
        ("PUT", "points/vectors", UPDATE),
        ("PUT", "points/vectors", {"points": [{"id": 1, "vectors": {"a": OBJECT}}]}),
        ("POST", "points/batch", {"operations": [{"upsert": {"points": [point(1, a=OBJECT)]}}]}),
        (
            "POST",
            "points/batch",
            {"operations": [{"update_vectors": UPDATE}]},
        ),
        ("PUT", "//points//", {"points": [point(1, a=OBJECT)]}),
    ],
)
async def test_what_is_written_has_its_vector(
    gateway: Gateway, direct: httpx.AsyncClient, collection: str, write: Sent
) -> None:
    method, path, body = write
    await direct.put(f"/collections/{collection}/points?wait=true", json={"points": [point(1, a=VECTOR)]})
    await sent(gateway, method, f"/collections/{collection}/{path}?wait=true", body)
    found = (await direct.get(f"/collections/{collection}/points/1")).json()["result"]["vector"]
    assert found["a"] == pytest.approx(dense("passage: tea").tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("query", {"query": OBJECT, "using": "a", "with_vectors": ["a"]}),
        ("query", {"query": {"nearest": OBJECT, "mmr": {"diversity": 0.5}}, "using": "a"}),
        ("query", {"query": {"recommend": {"positive": [OBJECT], "negative": [2]}}, "using": "a"}),
        ("query", {"query": {"discover": {"target": OBJECT, "context": [PAIR]}}, "using": "a"}),
        ("query", {"query": {"context": [PAIR]}, "using": "a"}),
        ("query", {"query": {"fusion": "rrf"}, "prefetch": PREFETCHES}),
        ("query/batch", {"searches": [{"query": OBJECT, "using": "a"}, {"query": VECTOR, "using": "a"}]}),
        ("query/groups", {"query": OBJECT, "using": "a", "group_by": "n"}),
    ],
)
async def test_a_search_by_an_object_finds_something(gateway: Gateway, collection: str, path: str, body: Any) -> None:
    points = {"points": [point(number, a=OBJECT if number % 2 else VECTOR, words=WORDS) for number in range(1, 5)]}
    await sent(gateway, "PUT", f"/collections/{collection}/points?wait=true", points)
    answer = await sent(gateway, "POST", f"/collections/{collection}/points/{path}", body)
    assert answer["result"]
    assert answer["usage"]["inference"]["models"]["org/dense"]["tokens"] > 0


ABOUT_MODELS = {"must": [{"key": "model", "match": {"value": "x"}}]}


@pytest.mark.parametrize(
    "asked",
    [
        ("POST", "points/query", {"query": {"text": "red"}, "using": "t"}),
        ("POST", "points/query", {"query": {"text": "red"}, "using": "t", "filter": ABOUT_MODELS}),
        ("POST", "points/query", {"query": VECTOR, "using": "a", "limit": 2**63}),
        ("POST", "points/query", {"query": VECTOR, "using": "a", "limit": 2**64}),
        ("POST", "points/query", {"query": VECTOR, "using": "a", "limit": 0}),
        ("POST", "points/query", {"query": VECTOR, "using": "a", "offset": -1}),
        ("POST", "points/search", {"vector": {"name": "a", "vector": VECTOR}, "top": 1, "with_vectors": True}),
        ("POST", "points/scroll", {"limit": 1, "with_vectors": True}),
        ("POST", "points/scroll", {"limit": 1, "order_by": "n", "offset": 3}),
        ("POST", "points/vectors/delete", {"points": [1], "vectors": ["a"]}),
        ("PUT", "points", {"points": [{"id": 1, "vector": {"a": [1e40, 0, 0, 0]}}]}),
        ("PUT", "points", {"points": "none"}),
        ("PATCH", "", {"optimizer_config": {"indexing_threshold_kb": 10}}),
        ("GET", "/points/1/", None),
        ("GET", "%2Fother", None),
    ],
)
async def test_what_is_qdrants_to_judge_is_answered_as_it_answers(
    gateway: Gateway, direct: httpx.AsyncClient, collection: str, asked: Sent
) -> None:
    method, path, body = asked
    await direct.put(f"/collections/{collection}/points?wait=true", json={"points": [point(1, a=VECTOR)]})
    answers = []
    for client in (direct, gateway.client):
        answer = await client.request(method, f"/collections/{collection}/{path}".rstrip(), json=body)
        answers.append((answer.status_code, without_time(answer)))
    assert answers[0] == answers[1]


def without_time(answer: httpx.Response) -> Any:
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return answer.text
    content = answer.json()
    for name in ("time", "usage"):
        content.pop(name, None)
    if isinstance(content.get("result"), dict):  # two writes have two numbers
        content["result"].pop("operation_id", None)
    return content


async def test_a_document_without_a_model_is_told_so(gateway: Gateway, collection: str) -> None:
    body = {"points": [point(1, a={"text": "tea"})]}
    answer = await gateway.client.put(f"/collections/{collection}/points", json=body)
    assert answer.status_code == 400
    assert answer.json()["status"]["error"].startswith("points[0].vector.a: an inference object needs 'model'")


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_probes_say_what_qdrants_say(direct: httpx.AsyncClient, path: str) -> None:
    answer = await direct.get(path)
    assert (answer.status_code, answer.text) == (200, "healthz check passed")


async def test_browsers_are_answered_as_qdrant_does(gateway: Gateway, direct: httpx.AsyncClient) -> None:
    asking = {"origin": "https://a.example", "access-control-request-method": "PUT"}
    for method, headers in (("OPTIONS", asking), ("GET", {"origin": "https://a.example"})):
        ours = await gateway.client.request(method, "/collections", headers=headers)
        theirs = await direct.request(method, "/collections", headers=headers)
        assert ours.status_code == theirs.status_code
        for name in ("access-control-allow-origin", "access-control-allow-headers", "access-control-allow-credentials"):
            assert ours.headers.get_list(name) == theirs.headers.get_list(name), name
        methods = "access-control-allow-methods"
        assert set(ours.headers.get(methods, "").split(", ")) == set(theirs.headers.get(methods, "").split(", "))


async def test_objects_are_embedded_over_grpc(gateway: Gateway, direct: httpx.AsyncClient, collection: str) -> None:
    vectors = q.NamedVectors(vectors={"a": q.Vector(document=q.Document(text="tea", model="org/dense"))})
    struct = q.PointStruct(id=q.PointId(num=1), vectors=q.Vectors(vectors=vectors))
    context = Context()
    message = q.UpsertPoints(collection_name=collection, wait=True, points=[struct])
    await gateway.grpc.answer("Upsert", message, context)
    assert context.code in {None, grpc.StatusCode.OK}, context.details
    found = (await direct.get(f"/collections/{collection}/points/1")).json()["result"]["vector"]
    assert found["a"] == pytest.approx(dense("passage: tea").tolist(), rel=1e-5)


async def test_a_snapshot_goes_out_and_comes_back(gateway: Gateway, collection: str) -> None:
    path = f"/collections/{collection}"
    await sent(gateway, "PUT", f"{path}/points?wait=true", {"points": [point(1, a=OBJECT)]})
    name = (await sent(gateway, "POST", f"{path}/snapshots", None))["result"]["name"]
    file = (await gateway.client.get(f"{path}/snapshots/{name}", timeout=120)).content
    await sent(gateway, "POST", f"{path}/points/delete?wait=true", {"points": [1]})
    files = {"snapshot": ("snapshot", file)}
    uploaded = await gateway.client.post(f"{path}/snapshots/upload?priority=snapshot", files=files, timeout=120)
    assert uploaded.status_code == 200, uploaded.text
    count = await sent(gateway, "POST", f"{path}/points/count", {})
    assert count["result"]["count"] == 1
