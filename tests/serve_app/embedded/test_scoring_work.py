"""No query keeps all other requests waiting by what it scores."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.embedded.edge import collection, matrix, scoring_work
from serve_app.embedded.engine.errors import TakesLong
from tests.support.embedded import Rest

POINTS = 300
VECTOR = [0.5] * 16
CONDITION = {"key": "n", "range": {"gt": 0}}


@pytest.fixture
def filled(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> Rest:
    monkeypatch.setattr(scoring_work, "MOST_SCORING", 20_000)
    monkeypatch.setattr(collection, "_PAGE", 100)
    multi = {"size": 4, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
    rest.result("PUT", "/collections/c", {"vectors": {"": {"size": 16, "distance": "Dot"}, "multi": multi}})
    points = [
        {"id": n, "vector": {"": [n + 1.0] * 16, "multi": [[1, 2, 3, n]]}, "payload": {"n": n}} for n in range(POINTS)
    ]
    rest.result("PUT", "/collections/c/points", {"points": points})
    return rest


def formula(*parts: Any, limit: int = POINTS, **defaults: float) -> dict[str, Any]:
    query = {"formula": {"sum": list(parts)}, "defaults": defaults}
    return {"prefetch": {"query": VECTOR, "limit": limit}, "query": query}


def multi(rows: int) -> dict[str, Any]:
    return {"query": [[1, 2, 3, 4]] * rows, "using": "multi"}


MUCH: dict[str, dict[str, Any]] = {
    "variables of a formula": formula(*["n"] * 100, n=1),
    "conditions of a formula": formula(*[CONDITION] * 100),
    "conditions of a formula, in a filter": formula({"must": [CONDITION] * 100}),
    "numbers of a formula": formula(*[1.5] * 3000),
    "a formula in a formula": formula({"mult": [{"abs": {"sum": [CONDITION] * 100}}, 2]}),
    "MMR": {"query": {"nearest": VECTOR, "mmr": {"candidates_limit": 1000}}, "limit": 1000},
    "examples": {"query": {"recommend": {"positive": [VECTOR] * 200, "strategy": "best_score"}}},
    "pairs": {"query": {"context": [{"positive": VECTOR, "negative": VECTOR}] * 100}},
    "discovery": {"query": {"discover": {"target": VECTOR, "context": [{"positive": 1, "negative": 2}] * 100}}},
    "prefetches": {"prefetch": [{"query": VECTOR}] * 200, "query": {"fusion": "rrf"}},
    "prefetches of prefetches": {
        "prefetch": [{"prefetch": [{"query": VECTOR}] * 20, "query": {"fusion": "rrf"}}] * 10,
        "query": {"fusion": "rrf"},
    },
    "rows of a multivector": multi(10_000),
}
USUAL: dict[str, dict[str, Any]] = {
    "a vector": {"query": VECTOR, "limit": POINTS},
    "MMR": {"query": {"nearest": VECTOR, "mmr": {"candidates_limit": 100}}, "limit": 10},
    "hybrid": {"prefetch": [{"query": VECTOR}, multi(32)], "query": {"fusion": "rrf"}},
    "rescoring": {"prefetch": {"query": VECTOR, "limit": 100}, **multi(32)},
    "a formula": formula("$score", {"mult": [0.2, CONDITION]}, limit=100),
    "examples": {"query": {"recommend": {"positive": [1, 2, 3], "negative": [4], "strategy": "best_score"}}},
}


@pytest.mark.parametrize("name", MUCH)
def test_too_much_is_refused_alone_in_a_prefetch_and_in_a_batch(filled: Rest, name: str) -> None:
    inner = {"prefetch": [MUCH[name]], "query": {"fusion": "rrf"}}
    for path, body in (
        ("query", MUCH[name]),
        ("query", inner),
        ("query/batch", {"searches": [{"query": VECTOR}, MUCH[name]]}),
        ("query/groups", {**MUCH[name], "group_by": "n"}),
    ):
        status, error = filled.error("POST", f"/collections/c/points/{path}", body)
        assert (status, "Use fewer" in error) == (400, True), (path, error)


@pytest.mark.parametrize("name", USUAL)
def test_the_usual_is_answered(filled: Rest, name: str) -> None:
    assert filled.result("POST", "/collections/c/points/query", USUAL[name])["points"]


def test_one_vector_is_compared_with_all_points_however_many(filled: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring_work, "MOST_SCORING", 1)
    for query in ({"query": VECTOR}, {"query": {"nearest": VECTOR}}, multi(32)):
        assert filled.result("POST", "/collections/c/points/query", {**query, "params": {"exact": True}})["points"]


def test_a_matrix_has_a_bound_and_a_large_one_takes_long(filled: Rest) -> None:
    path = "/collections/c/points/search/matrix/pairs"
    assert "sample of at most" in filled.error("POST", path, {"sample": matrix.MOST_SAMPLE + 1})[1]
    with pytest.raises(TakesLong):
        filled.store.rest("POST", path, "", b'{"sample":101}', others_wait=True)


def test_many_queries_of_a_request_take_long(filled: Rest) -> None:
    with pytest.raises(TakesLong):
        body = b'{"searches":[' + b",".join([b'{"query":1}'] * 101) + b"]}"
        filled.store.rest("POST", "/collections/c/points/query/batch", "", body, others_wait=True)


def test_answers_of_many_points_are_whole(filled: Rest) -> None:
    wanted = {"limit": POINTS, "with_payload": True, "with_vector": True}
    scrolled = filled.result("POST", "/collections/c/points/scroll", wanted)
    assert [point["id"] for point in scrolled["points"]] == list(range(POINTS))
    assert scrolled["next_page_offset"] is None
    queried = filled.result("POST", "/collections/c/points/query", {"query": VECTOR, **wanted})["points"]
    bare = filled.result("POST", "/collections/c/points/query", {"query": VECTOR, "limit": POINTS})["points"]
    whole = {point["id"]: point for point in scrolled["points"]}
    assert [{**one, **whole[one["id"]]} for one in bare] == queried
    backwards = list(range(POINTS - 1, -1, -1))
    assert [one["id"] for one in filled.result("POST", "/collections/c/points", {"ids": backwards})] == backwards
    page = filled.result("POST", "/collections/c/points/scroll", {"limit": 120})
    assert (len(page["points"]), page["next_page_offset"]) == (120, 120)
