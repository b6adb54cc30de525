"""The gRPC methods: which are there, and that no message is too strange."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode
from qdrant_client import grpc

from serve_app.embedded import grpc_methods
from serve_app.embedded.engine import request_parts
from serve_app.embedded.grpc_methods import METHODS
from serve_app.embedded.store import EmbeddedStore, GrpcError
from serve_app.protocol.grpc_services import _METHODS as ALL_METHODS
from serve_app.protocol.grpc_services import request_class

HEALTH = {"/qdrant.Qdrant/HealthCheck", "/grpc.health.v1.Health/Check"}


@pytest.fixture
def single(store: EmbeddedStore) -> EmbeddedStore:
    """A store with a collection `c` of one unnamed vector."""
    params = grpc.VectorParams(size=2, distance=grpc.Distance.Dot)
    create = grpc.CreateCollection(collection_name="c", vectors_config=grpc.VectorsConfig(params=params))
    assert answer(store, "Collections/Create", create).result
    return store


def answer(store: EmbeddedStore, method: str, request: Any) -> Any:
    return store.grpc(f"/qdrant.{method}", request)


def upsert(*vectors: grpc.Vector) -> grpc.UpsertPoints:
    points = [
        grpc.PointStruct(id=grpc.PointId(num=number), vectors=grpc.Vectors(vector=vector))
        for number, vector in enumerate(vectors)
    ]
    return grpc.UpsertPoints(collection_name="c", points=points, wait=True)


@pytest.mark.parametrize("method", sorted({*ALL_METHODS} - {*METHODS, *HEALTH}))
def test_a_method_that_is_not_there_says_that_a_server_is_needed(method: str, store: EmbeddedStore) -> None:
    with pytest.raises(GrpcError) as refused:
        store.grpc(method, request_class(method)())
    assert refused.value.code == StatusCode.UNIMPLEMENTED
    assert "QDRANT_URL" in refused.value.message


@pytest.mark.parametrize("collection", ["", "c"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_an_empty_message_is_never_our_fault(method: str, collection: str, single: EmbeddedStore) -> None:
    request: Any = request_class(method)()
    if "collection_name" in request.DESCRIPTOR.fields_by_name:
        request.collection_name = collection
    assert status(single, method, request) in {
        StatusCode.OK,
        StatusCode.INVALID_ARGUMENT,
        StatusCode.NOT_FOUND,
        StatusCode.ALREADY_EXISTS,
    }


def status(store: EmbeddedStore, method: str, request: Any) -> StatusCode:
    try:
        store.grpc(method, request)
    except GrpcError as error:
        return error.code
    return StatusCode.OK


def test_the_health_check_names_the_version(store: EmbeddedStore) -> None:
    reply = store.grpc("/qdrant.Qdrant/HealthCheck", grpc.HealthCheckRequest())
    assert reply.version.startswith("1.19.")  # type: ignore[attr-defined]


def test_vectors_may_come_as_older_clients_send_them(single: EmbeddedStore) -> None:
    response = answer(single, "Points/Upsert", upsert(grpc.Vector(data=[1, 2])))
    assert response.result.status == grpc.UpdateStatus.Completed
    assert response.time > 0
    [point] = answer(single, "Points/Get", grpc.GetPoints(collection_name="c", ids=[grpc.PointId(num=0)])).result
    assert point.id.num == 0


@pytest.mark.parametrize(
    ("vector", "text"),
    [
        (grpc.Vector(dense=grpc.DenseVector(data=[1, 2, 3])), "expected dim: 2, got 3"),
        (grpc.Vector(sparse=grpc.SparseVector(indices=[1], values=[1])), "a sparse vector needs a name"),
        (grpc.Vector(document=grpc.Document(text="secret", model="m")), "takes only vectors"),
    ],
)
def test_one_wrong_point_keeps_the_others_out(vector: grpc.Vector, text: str, single: EmbeddedStore) -> None:
    with pytest.raises(GrpcError) as refused:
        answer(single, "Points/Upsert", upsert(grpc.Vector(data=[1, 2]), vector))
    assert refused.value.code == StatusCode.INVALID_ARGUMENT
    assert text in refused.value.message
    assert "secret" not in refused.value.message
    assert answer(single, "Points/Count", grpc.CountPoints(collection_name="c")).result.count == 0


def test_a_long_message_is_carried_out_and_one_of_nothing_but_fields_is_not(single: EmbeddedStore) -> None:
    method, many = "/qdrant.Points/Upsert", upsert(*[grpc.Vector(data=[1, 2])] * 5000)
    single.grpc_bytes(method, many.SerializeToString())
    assert answer(single, "Points/Count", grpc.CountPoints(collection_name="c")).result.count == 5000
    for message, code in (
        (b"\x1a\x00" * 600_000, StatusCode.RESOURCE_EXHAUSTED),
        (b"\x1a", StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(GrpcError) as refused:
            single.grpc_bytes(method, message)
        assert refused.value.code == code


FEW = 300
MANY = FEW + 1
CONDITION = grpc.Condition(is_null=grpc.IsNullCondition(key="a"))
FILTER = grpc.Filter(must=[CONDITION] * MANY)
TOO_MANY = {
    "Points/QueryBatch": grpc.QueryBatchPoints(query_points=[grpc.QueryPoints()] * MANY),
    "Points/SearchBatch": grpc.SearchBatchPoints(search_points=[grpc.SearchPoints(vector=[1])] * MANY),
    "Points/RecommendBatch": grpc.RecommendBatchPoints(recommend_points=[grpc.RecommendPoints()] * MANY),
    "Points/DiscoverBatch": grpc.DiscoverBatchPoints(discover_points=[grpc.DiscoverPoints()] * MANY),
    "Points/Query": grpc.QueryPoints(prefetch=[grpc.PrefetchQuery()] * MANY),
    "Points/Scroll": grpc.ScrollPoints(filter=FILTER),
    "Points/Count": grpc.CountPoints(filter=grpc.Filter(should=[grpc.Condition(filter=FILTER)])),
}


@pytest.mark.parametrize("method", TOO_MANY)
def test_no_more_is_read_than_anybody_asks_for(
    method: str, single: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it was read to its end")

    monkeypatch.setattr(grpc_methods, "carried_out", never)
    monkeypatch.setattr(request_parts, "MOST", FEW)
    request = TOO_MANY[method]
    request.collection_name = "c"
    with pytest.raises(GrpcError, match=f"more than {FEW} conditions, queries and prefetches"):
        answer(single, method, request)
