"""The search methods of older SDKs answer what the query that they stand for answers."""

from __future__ import annotations

from typing import Any

import pytest
from qdrant_client import grpc

from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest

POINTS = [[1.0, 0.0], [0.8, 0.2], [0.0, 1.0], [-1.0, 0.1], [0.3, 0.7]]


@pytest.fixture(autouse=True)
def things(rest: Rest) -> None:
    rest.result(
        "PUT",
        "/collections/things",
        {"vectors": {"a": {"size": 2, "distance": "Cosine"}}, "sparse_vectors": {"s": {}}},
    )
    points = [
        {
            "id": number,
            "vector": {"a": vector, "s": {"indices": [number], "values": [1.0]}},
            "payload": {"even": number % 2},
        }
        for number, vector in enumerate(POINTS)
    ]
    rest.result("PUT", "/collections/things/points", {"points": points})


CONTEXT = [{"positive": 0, "negative": [0.0, 1.0]}]
SAME_ON_REST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "search": ({"vector": {"name": "a", "vector": [1, 0]}}, {"query": [1, 0], "using": "a"}),
    "search of a sparse vector": (
        {"vector": {"name": "s", "vector": {"indices": [2], "values": [2.0]}}},
        {"query": {"indices": [2], "values": [2.0]}, "using": "s"},
    ),
    "recommend": (
        {"positive": [0, [0.5, 0.5]], "negative": [3], "using": "a", "strategy": "best_score"},
        {
            "query": {"recommend": {"positive": [0, [0.5, 0.5]], "negative": [3], "strategy": "best_score"}},
            "using": "a",
        },
    ),
    "discover": (
        {"target": 4, "context": CONTEXT, "using": "a"},
        {"query": {"discover": {"target": 4, "context": CONTEXT}}, "using": "a"},
    ),
    "discover without a target": ({"context": CONTEXT, "using": "a"}, {"query": {"context": CONTEXT}, "using": "a"}),
}
REFINED: dict[str, Any] = {
    "filter": {"must": [{"key": "even", "match": {"value": 0}}]},
    "limit": 2,
    "with_payload": True,
    "with_vector": ["a"],
    "offset": 1,
}


@pytest.mark.parametrize("case", SAME_ON_REST)
def test_an_older_route_answers_what_the_query_answers(rest: Rest, case: str) -> None:
    older, query = SAME_ON_REST[case]
    route = f"/collections/things/points/{case.split(maxsplit=1)[0]}"
    expected = rest.result("POST", "/collections/things/points/query", {**query, **REFINED})["points"]

    assert rest.result("POST", route, {**older, **REFINED}) == expected
    assert rest.result("POST", f"{route}/batch", {"searches": [{**older, **REFINED}] * 2}) == [expected] * 2


@pytest.mark.parametrize("case", ["search", "recommend"])
def test_an_older_route_answers_in_groups(rest: Rest, case: str) -> None:
    older, query = SAME_ON_REST[case]
    groups = {"group_by": "even", "group_size": 2, "limit": 2, "with_payload": True}
    expected = rest.result("POST", "/collections/things/points/query/groups", {**query, **groups})

    assert rest.result("POST", f"/collections/things/points/{case}/groups", {**older, **groups}) == expected
    assert len(expected["groups"]) == 2


@pytest.mark.parametrize(
    "body", [[], None, {}, {"vector": None}, {"vector": {"name": "a"}}, {"vector": True, "limit": 3}]
)
def test_an_older_route_refuses_what_is_no_search(rest: Rest, body: Any) -> None:
    for route in ("search", "search/batch", "search/groups"):
        assert rest.error("POST", f"/collections/things/points/{route}", body)[0] == 400


def _ids(*numbers: int) -> list[grpc.PointId]:
    return [grpc.PointId(num=number) for number in numbers]


def _dense(*values: float) -> grpc.Vector:
    return grpc.Vector(dense=grpc.DenseVector(data=values))


SEARCH: dict[str, Any] = {"vector": [1.0, 0.0], "vector_name": "a"}
RECOMMEND: dict[str, Any] = {
    "positive": _ids(0),
    "positive_vectors": [_dense(0.5, 0.5)],
    "negative_vectors": [grpc.Vector(data=[-1.0, 0.1])],
    "strategy": grpc.RecommendStrategy.BestScore,
    "using": "a",
}
DISCOVER: dict[str, Any] = {
    "target": grpc.TargetVector(single=grpc.VectorExample(id=_ids(4)[0])),
    "context": [
        grpc.ContextExamplePair(
            positive=grpc.VectorExample(id=_ids(0)[0]), negative=grpc.VectorExample(vector=_dense(0, 1))
        )
    ],
    "using": "a",
}
SAME_ON_GRPC: dict[str, tuple[str, type[Any], type[Any], str, dict[str, Any], dict[str, Any]]] = {
    "Search": (
        "Search", grpc.SearchPoints, grpc.SearchBatchPoints, "search_points",
        SEARCH, {"query": [1, 0], "using": "a"},
    ),
    "Search of a sparse vector": (
        "Search", grpc.SearchPoints, grpc.SearchBatchPoints, "search_points",
        {"vector": [2.0], "sparse_indices": grpc.SparseIndices(data=[2]), "vector_name": "s"},
        {"query": {"indices": [2], "values": [2.0]}, "using": "s"},
    ),
    "Recommend": (
        "Recommend", grpc.RecommendPoints, grpc.RecommendBatchPoints, "recommend_points",
        RECOMMEND,
        {
            "query": {
                "recommend": {"positive": [0, [0.5, 0.5]], "negative": [[-1.0, 0.1]], "strategy": "best_score"}
            },
            "using": "a",
        },
    ),
    "Discover": (
        "Discover", grpc.DiscoverPoints, grpc.DiscoverBatchPoints, "discover_points",
        DISCOVER, {"query": {"discover": {"target": 4, "context": CONTEXT}}, "using": "a"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME_ON_GRPC)
def test_an_older_method_answers_what_the_query_answers(rest: Rest, store: EmbeddedStore, case: str) -> None:
    method, message, batch, name, older, query = SAME_ON_GRPC[case]
    expected = rest.result("POST", "/collections/things/points/query", {**query, "limit": 3})["points"]
    request = message(collection_name="things", limit=3, **older)
    several = batch(collection_name="things", **{name: [request, request]})

    one: Any = store.grpc(f"/qdrant.Points/{method}", request)
    two: Any = store.grpc(f"/qdrant.Points/{method}Batch", several)

    assert [number for number, _ in _scores(one.result)] == [point["id"] for point in expected]
    assert [score for _, score in _scores(one.result)] == pytest.approx([point["score"] for point in expected])
    assert [_scores(answer.result) for answer in two.result] == [_scores(one.result)] * 2


@pytest.mark.parametrize(
    ("method", "message", "older"),
    [("Search", grpc.SearchPointGroups, SEARCH), ("Recommend", grpc.RecommendPointGroups, RECOMMEND)],
)
def test_an_older_method_answers_in_groups(
    store: EmbeddedStore, method: str, message: type[Any], older: dict[str, Any]
) -> None:
    request = message(collection_name="things", limit=2, group_by="even", group_size=2, **older)

    answer: Any = store.grpc(f"/qdrant.Points/{method}Groups", request)

    assert sorted(group.id.unsigned_value for group in answer.result.groups) == [0, 1]
    assert {len(group.hits) for group in answer.result.groups} == {2}


def _scores(points: Any) -> list[tuple[int, float]]:
    return [(point.id.num, point.score) for point in points]
