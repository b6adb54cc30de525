"""What a server answers to the strange: shard keys, numbers at the end of their types, how to wait."""

from __future__ import annotations

import math
from typing import Any

import pytest
from grpc import StatusCode
from qdrant_client import grpc

from serve_app.embedded.store import EmbeddedStore, GrpcError
from tests.support.embedded import Rest, fill

POINTS = "/collections/c/points"


@pytest.fixture(autouse=True)
def _filled(rest: Rest) -> None:
    fill(rest)


LARGE = ("9223372036854775807", "9223372036854775808", "18446744073709551615")
NO_INTEGER = ("18446744073709551616", "-1", "1e400", "1.0", "NaN", "Infinity", '"1"', "true", "[]", "1" + "0" * 400)
SEARCH = '{"query": [1, 1, 1], "using": "cosine", "%s": %s}'
GROUPS = '{"query": [1, 1, 1], "using": "cosine", "group_by": "number", "%s": %s}'


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("query", SEARCH, "limit"),
        ("query", SEARCH, "offset"),
        ("query/groups", GROUPS, "limit"),
        ("query/groups", GROUPS, "group_size"),
        ("scroll", '{"%s": %s}', "limit"),
    ],
)
def test_a_limit_may_be_as_large_as_its_type_and_no_larger(rest: Rest, route: str, body: str, field: str) -> None:
    for number in LARGE:
        assert rest("POST", f"{POINTS}/{route}", (body % (field, number)).encode())[0] == 200, number
    for number in NO_INTEGER:
        status, text = rest.error("POST", f"{POINTS}/{route}", (body % (field, number)).encode())
        assert (status, text[:26]) == (400, "Format error in JSON body:"), number


def test_a_batch_may_have_no_payloads_or_null_for_some(rest: Rest) -> None:
    batch: Any = {"ids": [1, 2], "vectors": {"euclid": [[1, 2], [3, 4]]}, "payloads": [None, {"a": 1}]}
    rest.result("PUT", POINTS, {"batch": batch})
    assert [one.get("payload") for one in rest.result("POST", POINTS, {"ids": [1, 2]})] == [{}, {"a": 1}]
    rest.result("PUT", POINTS, {"batch": {**batch, "payloads": None}})
    assert [one.get("payload") for one in rest.result("POST", POINTS, {"ids": [1, 2]})] == [{}, {}]
    assert rest.error("PUT", POINTS, {"batch": {**batch, "payloads": [None]}})[0] == 422


def test_an_order_takes_no_offset_even_of_an_empty_collection(rest: Rest) -> None:
    rest.result("PUT", "/collections/empty", {})
    rest.result("PUT", "/collections/empty/index", {"field_name": "n", "field_schema": "integer"})
    status, text = rest.error("POST", "/collections/empty/points/scroll", {"order_by": "n", "offset": 1})
    assert (status, "Cannot use an `offset` when using `order_by`" in text) == (400, True)


def test_integers_of_a_payload_beyond_64_bits_become_floats(rest: Rest, store: EmbeddedStore) -> None:
    body = b'{"points": [10], "payload": {"signed": -9223372036854775808, "all": 18446744073709551615, "more": 1%s}}'
    rest.result("POST", f"{POINTS}/payload", body % (b"0" * 20))
    payload = rest.result("GET", f"{POINTS}/10")["payload"]
    assert payload == {"number": 10, "signed": -(2**63), "all": 2**64 - 1, "more": 1e20}
    request = grpc.GetPoints(
        collection_name="c",
        ids=[grpc.PointId(num=10)],
        with_payload=grpc.WithPayloadSelector(enable=True),
    )
    [point] = store.grpc("/qdrant.Points/Get", request).result  # type: ignore[attr-defined]
    assert point.payload["signed"].integer_value == -(2**63)
    assert point.payload["all"].double_value == 2.0**64


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_payload_of_grpc_has_no_number_that_json_lacks(store: EmbeddedStore, number: float) -> None:
    inner = grpc.Value(list_value=grpc.ListValue(values=[grpc.Value(double_value=number)]))
    request = grpc.UpsertPoints(
        collection_name="c", points=[grpc.PointStruct(id=grpc.PointId(num=1), payload={"n": inner})]
    )
    with pytest.raises(GrpcError, match="cannot convert to json number") as refused:
        store.grpc("/qdrant.Points/Upsert", request)
    assert refused.value.code is StatusCode.INVALID_ARGUMENT


READS: list[tuple[str, dict[str, Any]]] = [
    ("", {"ids": [10]}),
    ("/scroll", {}),
    ("/count", {}),
    ("/query", {"query": [1, 1, 1], "using": "cosine"}),
    ("/search/matrix/pairs", {"using": "cosine"}),
]
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", "", {"points": [{"id": 1, "vector": {}}]}),
    ("POST", "/delete", {"points": [10]}),
    ("POST", "/delete", {"filter": {}}),
    ("POST", "/payload", {"points": [10], "payload": {}}),
    ("PUT", "/vectors", {"points": [{"id": 10, "vector": {"euclid": [1, 2]}}]}),
    ("POST", "/vectors/delete", {"points": [10], "vector": ["euclid"]}),
]
KEYS: list[tuple[Any, int, str]] = [
    ("a", 400, 'Shard key "a" not found'),
    ([7, "b"], 400, "Shard key 7 not found"),
    ([], 400, "Wrong input: Empty shard keys selection"),
    (
        {"target": "a", "fallback": 2},
        404,
        'Not found: Neither target shard key "a" nor fallback shard key 2 exist',
    ),
    (1.5, 400, "Format error in JSON body: shard_key: expected a string or an integer"),
    (-1, 400, "Format error in JSON body: shard_key: expected a"),
]


@pytest.mark.parametrize(("key", "status", "text"), KEYS)
def test_a_collection_without_shard_keys_finds_none(rest: Rest, key: Any, status: int, text: str) -> None:
    for route, body in READS:
        answer = rest.error("POST", f"{POINTS}{route}", {**body, "shard_key": key})
        assert (answer[0], text in answer[1]) == (status, True), answer
        rest.result("POST", f"{POINTS}{route}", {**body, "shard_key": None})
    for method, route, body in WRITES:
        answer = rest.error(method, f"{POINTS}{route}", {**body, "shard_key": key})
        assert (answer[0], text in answer[1]) == (status, True), answer
    assert rest.result("POST", f"{POINTS}/count", {}) == {"count": 5}


def test_shard_keys_of_grpc_are_those_of_rest(store: EmbeddedStore) -> None:
    keys = [grpc.ShardKey(keyword="a")]
    ids = grpc.PointsSelector(points=grpc.PointsIdsList(ids=[grpc.PointId(num=10)]))
    requests: list[tuple[str, Any]] = [
        ("Delete", grpc.DeletePoints(collection_name="c", points=ids)),
        ("Upsert", grpc.UpsertPoints(collection_name="c", points=[grpc.PointStruct(id=grpc.PointId(num=1))])),
        ("Count", grpc.CountPoints(collection_name="c")),
    ]
    for method, request in requests:
        request.shard_key_selector.shard_keys.extend(keys)
        with pytest.raises(GrpcError, match='Shard key "a" not found') as refused:
            store.grpc(f"/qdrant.Points/{method}", request)
        assert refused.value.code is StatusCode.INVALID_ARGUMENT


def test_who_does_not_wait_is_told_so_and_not_what_is_missing(rest: Rest) -> None:
    store = rest.store
    for query in ("", "wait=false"):
        status, answer = store.rest("POST", f"{POINTS}/payload", query, b'{"payload": {"n": 1}, "points": [99, 10]}')
        assert (status, b"acknowledged" in answer) == (200, True)
    assert rest.result("GET", f"{POINTS}/10")["payload"]["n"] == 1
    assert store.rest("PUT", POINTS, "", b'{"points": [{"id": 1, "vector": {"euclid": [1]}}]}')[0] == 400
    assert rest.error("POST", f"{POINTS}/payload", {"payload": {}, "points": [99]})[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "query", "status"),
    [
        ("POST", f"{POINTS}/count", "timeout=0", 400),
        ("POST", f"{POINTS}/count", "timeout=-1", 400),
        ("POST", f"{POINTS}/count", "timeout=18446744073709551616", 400),
        ("POST", f"{POINTS}/count", "timeout=18446744073709551615&consistency=quorum&other=1", 200),
        ("POST", f"{POINTS}/count", "consistency=0", 400),
        ("POST", f"{POINTS}/delete", "wait=1", 400),
        ("POST", f"{POINTS}/delete", "wait=true&wait=true", 400),
        ("POST", f"{POINTS}/delete", "ordering=strongest", 400),
        ("POST", f"{POINTS}/delete", "wait=true&ordering=strong&timeout=0", 200),
        ("PATCH", "/collections/c", "timeout=0", 422),
        ("PATCH", "/collections/c", "timeout=x", 400),
    ],
)
def test_what_stands_behind_the_question_mark_is_read_as_in_qdrant(
    rest: Rest, method: str, path: str, query: str, status: int
) -> None:
    body = b'{"points": [1]}' if path.endswith("delete") else b"{}"
    assert rest.store.rest(method, path, query, body)[0] == status


def test_points_and_their_vectors_may_have_qdrants_other_names(rest: Rest) -> None:
    rest.result("PUT", POINTS, {"points": [{"id": 1, "vectors": {"euclid": [1, 2]}}]})
    rest.result("PUT", f"{POINTS}/vectors", {"points": [{"id": 1, "vectors": {"euclid": [3, 4]}}]})
    assert rest.result("GET", f"{POINTS}/1")["vector"] == {"euclid": [3, 4]}
    rest.result("POST", f"{POINTS}/vectors/delete", {"points": [1], "vectors": ["euclid"]})
    assert rest.result("GET", f"{POINTS}/1")["vector"] == {}
    both = {"id": 1, "vectors": {}, "vector": {}}
    assert "duplicate field" in rest.error("PUT", POINTS, {"points": [both]})[1]


def test_a_change_that_the_engine_cannot_make_leaves_the_collection_as_it_was(rest: Rest) -> None:
    body = {"sparse_vectors": {"sparse": {"modifier": "none"}}}
    assert rest.error("PATCH", "/collections/c", body)[0] == 501
    assert rest.result("GET", "/collections/c")["config"]["params"]["sparse_vectors"]["sparse"]["modifier"] == "idf"
    assert rest.result("POST", f"{POINTS}/count", {}) == {"count": 5}


@pytest.mark.parametrize("index", [None, "bool"])
def test_a_boolean_matches_booleans_alone(rest: Rest, index: str | None) -> None:
    rest.result("PUT", "/collections/booleans", {"vectors": {"size": 1, "distance": "Dot"}})
    payloads = [{"b": True}, {"b": False}, {"b": False}, {"b": 1}, {"b": 0}, {}]
    points = [{"id": number, "vector": [1], "payload": payload} for number, payload in enumerate(payloads)]
    rest.result("PUT", "/collections/booleans/points", {"points": points})
    if index:
        rest.result("PUT", "/collections/booleans/index", {"field_name": "b", "field_schema": index})
    for value, passing in ((True, [0]), (False, [1, 2]), (1, [3]), (0, [4])):
        condition = {"must": [{"key": "b", "match": {"value": value}}]}
        found = rest.result("POST", "/collections/booleans/points/scroll", {"filter": condition})["points"]
        assert [point["id"] for point in found] == passing, value
