"""Limits that a collection's strict mode sets for single requests."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.embedded.edge import reading
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
    assert status in {400, 403}
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
        ("scroll", {"filter": {"must": [{"should": [{}] * 1500}] * 20}}),
        ("count", {"filter": {"min_should": {"conditions": [{}] * 30_000, "min_count": 1}}}),
        ("delete", {"filter": {"must_not": [{}] * 30_000}}),
        ("query", {"prefetch": [{}] * 30_000, "query": [1, 1]}),
        ("query/batch", {"searches": [{}] * 30_000}),
        ("query/batch", {"searches": [{"filter": {"must": [{}] * 1500}}] * 20}),
        ("batch", {"operations": [{"delete": {"filter": {"must": [{}] * 1500}}}] * 20}),
    ],
)
def test_more_conditions_and_queries_than_anybody_asks_for_are_refused(rest: Rest, path: str, body: Any) -> None:
    assert rest.error("POST", f"{POINTS}/{path}", body) == (
        400, f"Bad request: the request has more than {reading.MOST} conditions, queries and prefetches"
    )  # fmt: skip
    assert rest.result("POST", f"{POINTS}/count", {})["count"] == 1, "each request is counted anew, and nothing is done"


def test_thousands_of_ids_and_values_are_no_conditions(rest: Rest) -> None:
    many = {"must": [{"has_id": list(range(30_000))}, {"key": "n", "match": {"any": list(range(30_000))}}]}
    assert rest.result("POST", f"{POINTS}/count", {"filter": many})["count"] == 1
