"""Limits that a collection's strict mode sets for single requests."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.embedded.engine import request_parts
from tests.support.embedded import Rest

CITY = {"must": [{"key": "city", "match": {"value": "Rome"}}]}
POINTS = "/collections/c/points"


@pytest.fixture(autouse=True)
def collection(rest: Rest) -> None:
    rest.result("PUT", "/collections/c", {"vectors": {"size": 2, "distance": "Dot"}})
    rest.result("PUT", POINTS, {"points": [{"id": 1, "vector": [1, 2], "payload": {"city": "Rome", "n": 1}}]})


def limited(rest: Rest, **limits: Any) -> None:
    rest.result("PATCH", "/collections/c", {"strict_mode_config": {"enabled": True, **limits}})


BEYOND: dict[str, tuple[dict[str, Any], tuple[str, str, Any], str]] = {
    "limit": ({"max_query_limit": 3}, ("POST", f"{POINTS}/query", {"query": [1, 1], "limit": 4}), "limit"),
    "limit of a prefetch": (
        {"max_query_limit": 3},
        ("POST", f"{POINTS}/query", {"prefetch": {"query": [1, 1], "limit": 4}, "query": [1, 1], "limit": 1}),
        "limit",
    ),
    "hnsw_ef": (
        {"search_max_hnsw_ef": 3}, ("POST", f"{POINTS}/query", {"query": [1, 1], "params": {"hnsw_ef": 4}}), "hnsw_ef"
    ),
    "exact": (
        {"search_allow_exact": False},
        ("POST", f"{POINTS}/query", {"query": [1, 1], "params": {"exact": True}}),
        "Exact",
    ),
    "batch": ({"search_max_batchsize": 1}, ("POST", f"{POINTS}/query/batch", {"searches": [{}, {}]}), "batch size"),
    "upsert": (
        {"upsert_max_batchsize": 1},
        ("PUT", POINTS, {"points": [{"id": n, "vector": [1, 1]} for n in range(2)]}),
        "upsert limit",
    ),
    "filter without an index": (
        {"unindexed_filtering_retrieve": False}, ("POST", f"{POINTS}/scroll", {"filter": CITY}), "city"
    ),
    "delete without an index": (
        {"unindexed_filtering_update": False}, ("POST", f"{POINTS}/delete", {"filter": CITY}), "city"
    ),
    "limit that is not given": ({"max_query_limit": 9}, ("POST", f"{POINTS}/query", {"query": [1, 1]}), "limit"),
    "limit of groups": (
        {"max_query_limit": 5},
        ("POST", f"{POINTS}/query/groups", {"query": [1, 1], "group_by": "city", "limit": 2, "group_size": 3}),
        "limit",
    ),
    "limit of a matrix": (
        {"max_query_limit": 5}, ("POST", f"{POINTS}/search/matrix/pairs", {"limit": 2, "sample": 3}), "limit"
    ),
    "exact count": ({"search_allow_exact": False}, ("POST", f"{POINTS}/count", {}), "Exact"),
    "oversampling": (
        {"search_max_oversampling": 1.5},
        ("POST", f"{POINTS}/query", {"query": [1, 1], "params": {"quantization": {"oversampling": 2}}}),
        "oversampling",
    ),
    "grouped without an index": (
        {"unindexed_filtering_retrieve": False},
        ("POST", f"{POINTS}/query/groups", {"query": [1, 1], "group_by": "city"}),
        "city",
    ),
    "formula without an index": (
        {"unindexed_filtering_retrieve": False},
        ("POST", f"{POINTS}/query", {"prefetch": {"query": [1, 1]}, "query": {"formula": {"sum": ["$score", "n"]}}}),
        'found for "n"',
    ),
    "points": ({"max_points_count": 1}, ("PUT", POINTS, {"points": [{"id": 2, "vector": [1, 1]}]}), "Max points count"),
    "bytes of vectors": (
        {"max_collection_vector_size_bytes": 8},
        ("PUT", POINTS, {"points": [{"id": 2, "vector": [1, 1]}]}),
        "Max vector storage size",
    ),
    "any": (
        {"condition_max_size": 1},
        ("POST", f"{POINTS}/count", {"filter": {"must": [{"key": "n", "match": {"any": [1, 2]}}]}}),
        "Condition size",
    ),
    "conditions": ({"filter_max_conditions": 0}, ("POST", f"{POINTS}/count", {"filter": CITY}), "Filter condition"),
    "index": (
        {"max_payload_index_count": 0},
        ("PUT", "/collections/c/index", {"field_name": "n", "field_schema": "integer"}),
        "maximum number of payload indices (0)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BEYOND)
def test_a_request_beyond_a_limit_is_refused_when_the_limit_is_set(case: str, rest: Rest) -> None:
    limits, call, words = BEYOND[case]
    limited(rest, **limits)
    status, text = rest.error(*call)
    assert (status, text[:13]) == (400, "Bad request: ")
    assert words in text
    rest.result("PATCH", "/collections/c", {"strict_mode_config": {"enabled": False}})
    rest.result(*call)


def test_an_index_of_the_right_type_lets_a_filter_pass(rest: Rest) -> None:
    limited(rest, unindexed_filtering_retrieve=False)
    rest.result("PUT", "/collections/c/index", {"field_name": "city", "field_schema": "geo"})
    assert "Index of type" in rest.error("POST", f"{POINTS}/count", {"filter": CITY})[1]
    rest.result("PUT", "/collections/c/index", {"field_name": "city", "field_schema": "keyword"})
    assert rest.result("POST", f"{POINTS}/count", {"filter": CITY}) == {"count": 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("scroll", {"filter": {"must": [{}] * 30_000}}),
        ("count", {"filter": {"min_should": {"conditions": [{}] * 30_000, "min_count": 1}}}),
        ("delete", {"filter": {"must_not": [{}] * 30_000}}),
        ("query", {"prefetch": [{}] * 30_000, "query": [1, 1]}),
        ("query/batch", {"searches": [{}] * 30_000}),
        ("query/batch", {"searches": [{"filter": {"must": [{}] * 900}}] * 30}),
        ("batch", {"operations": [{"delete": {"filter": {"must": [{}] * 900}}}] * 30}),
    ],
)
def test_more_conditions_and_queries_than_anybody_asks_for_are_refused(rest: Rest, path: str, body: Any) -> None:
    assert rest.error("POST", f"{POINTS}/{path}", body) == (
        400, f"Bad request: the request has more than {request_parts.MOST} conditions, queries and prefetches"
    )  # fmt: skip
    assert rest.result("POST", f"{POINTS}/count", {})["count"] == 1, "each request is counted anew, and nothing is done"


@pytest.mark.parametrize("conditions", [[{}] * 1001, [{"should": [{}] * 100}] * 10, [{"must_not": [{}] * 1000}]])
def test_one_filter_has_a_thousand_conditions_at_most(rest: Rest, conditions: Any) -> None:
    status, said = rest.error("POST", f"{POINTS}/scroll", {"filter": {"must": conditions}})
    assert (status, said.partition("; ")[2]) == (400, "at most 1000 are allowed")
    assert rest.result("POST", f"{POINTS}/count", {"filter": {"must": [{}] * 1000}})["count"] == 1


def test_thousands_of_ids_and_values_are_no_conditions(rest: Rest) -> None:
    many = {"must": [{"has_id": list(range(30_000))}, {"key": "n", "match": {"any": list(range(30_000))}}]}
    assert rest.result("POST", f"{POINTS}/count", {"filter": many})["count"] == 1


def test_vectors_may_have_so_many_rows_and_so_many_indices(rest: Rest) -> None:
    body = {
        "vectors": {"rows": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}},
        "sparse_vectors": {"words": {}},
        "strict_mode_config": {
            "enabled": True,
            "multivector_config": {"rows": {"max_vectors": 1}},
            "sparse_config": {"words": {"max_length": 2}},
        },
    }
    rest.result("PUT", "/collections/d", body)
    for vector, words in (
        ({"rows": [[1, 2], [3, 4]]}, "Multivector 'rows' has a limit of 1"),
        ({"words": {"indices": [1, 2, 3], "values": [1, 1, 1]}}, "Sparse vector 'words' has a limit of 2"),
    ):
        in_columns = {"ids": [1], "vectors": {name: [one] for name, one in vector.items()}}
        for content in ({"points": [{"id": 1, "vector": vector}]}, {"batch": in_columns}):
            assert words in rest.error("PUT", "/collections/d/points", content)[1]
    fitting = {"rows": [[1, 2]], "words": {"indices": [1, 2], "values": [1, 1]}}
    rest.result("PUT", "/collections/d/points", {"points": [{"id": 1, "vector": fitting}]})


def test_a_search_without_an_index_for_all_is_for_tenants_only(rest: Rest) -> None:
    rest.result("PATCH", "/collections/c", {"hnsw_config": {"m": 0, "payload_m": 8}})
    limited(rest, search_allow_exact=False)
    assert "global vector indexing is disabled" in rest.error("POST", f"{POINTS}/query", {"query": [1, 1]})[1]
    rest.result("POST", f"{POINTS}/query", {"query": {"sample": "random"}})
    assert rest.error("POST", f"{POINTS}/query", {"query": [1, 1], "filter": CITY})[0] == 400
    tenants = {"type": "keyword", "is_tenant": True}
    rest.result("PUT", "/collections/c/index", {"field_name": "city", "field_schema": tenants})
    rest.result("POST", f"{POINTS}/query", {"query": [1, 1], "filter": CITY})


def test_reading_and_writing_cost_what_a_minute_allows(rest: Rest) -> None:
    limited(rest, read_rate_limit=4, write_rate_limit=3)
    rest.result("POST", f"{POINTS}/query", {"query": [1, 1], "filter": CITY})
    rest.result("POST", f"{POINTS}/scroll", {})
    status, text = rest.error("POST", POINTS, {"ids": [1, 2]})
    assert status == 429
    assert "Read rate limit exceeded: Operation requires 2 tokens but only 1.0 were available. Retry after 15s" in text
    points = [{"id": number, "vector": [1, 1]} for number in range(4)]
    assert "please try to split your request" in rest.error("PUT", POINTS, {"points": points})[1]
    rest.result("PUT", POINTS, {"points": points[:3]})
    assert "Write rate limit exceeded" in rest.error("POST", f"{POINTS}/delete", {"filter": {}})[1]
    limited(rest, read_rate_limit=None)
    assert rest.result("POST", f"{POINTS}/count", {})["count"] == 3


def test_a_limit_meets_no_request_that_has_not_been_read(rest: Rest) -> None:
    limited(rest, max_query_limit=3, upsert_max_batchsize=1, filter_max_conditions=1, search_max_hnsw_ef=3)
    for method, route, body in (
        ("POST", "/query", {"limit": "a"}),
        ("POST", "/query", {"params": [], "filter": {"must": 1}}),
        ("POST", "/query/groups", {"group_by": "city", "limit": {}}),
        ("POST", "/search/matrix/pairs", {"limit": "a", "sample": []}),
        ("PUT", "", {"points": 1}),
        ("PUT", "", {"batch": 1}),
        ("POST", "/delete", {"filter": 1}),
    ):
        assert rest.error(method, f"{POINTS}{route}", body)[0] in {400, 422}
