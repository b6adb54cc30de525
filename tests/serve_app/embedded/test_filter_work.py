"""No filter keeps all other requests waiting: the engine lets nobody else run while it looks through points."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from serve_app.embedded.edge import filter_work
from tests.support.embedded import Rest

POINTS = 2000
FEW = 300
"""Conditions that are allowed for so many points after the limit is lowered."""


def conditions(count: int) -> dict[str, Any]:
    return {"should": [{"key": "n", "match": {"value": -1 - number}} for number in range(count)]}


@pytest.fixture
def filled(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> Rest:
    monkeypatch.setattr(filter_work, "MOST_CHECKS", POINTS * FEW)
    rest.result("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}})
    points = [{"id": number, "vector": [number], "payload": {"n": number, "t": "x"}} for number in range(POINTS)]
    rest.result("PUT", "/collections/c/points", {"points": points})
    return rest


ASKED: dict[str, Any] = {
    "/points/scroll": {},
    "/points/count": {},
    "/points/query": {"query": [1]},
    "/points/query/groups": {"query": [1], "group_by": "t"},
    "/points/search": {"vector": [1], "limit": 1},
    "/points/recommend": {"positive": [1], "limit": 1},
    "/points/search/matrix/pairs": {"sample": 2},
    "/points/delete": {},
    "/points/payload": {"payload": {"a": 1}},
    "/points/payload/delete": {"keys": ["a"]},
    "/points/vectors/delete": {"vector": [""]},
}


@pytest.mark.parametrize("path", ASKED)
def test_a_filter_of_too_much_work_is_refused_by_every_operation(filled: Rest, path: str) -> None:
    few = {**ASKED[path], "filter": conditions(FEW)}
    filled.result("POST", f"/collections/c{path}", few)
    status, error = filled.error("POST", f"/collections/c{path}", {**ASKED[path], "filter": conditions(FEW + 1)})
    assert (status, f"{FEW + 1} conditions that no payload index serves" in error) == (400, True), error


def test_a_filter_of_a_prefetch_counts_and_an_index_makes_room(filled: Rest) -> None:
    body = {"prefetch": [{"query": [1], "filter": conditions(FEW + 1)}], "query": [1]}
    assert 'Create an index for "n"' in filled.error("POST", "/collections/c/points/query", body)[1]
    filled.result("PUT", "/collections/c/index", {"field_name": "n", "field_schema": "integer"})
    filled.result("POST", "/collections/c/points/query", body)


def test_a_batch_lets_others_run_between_its_queries(filled: Rest) -> None:
    searches = {"searches": [{"query": [1], "filter": conditions(30)}] * 8}
    busy = threading.Thread(target=filled, args=("POST", "/collections/c/points/query/batch", searches))
    busy.start()
    turns = 0
    while busy.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 4, "after each query, about"
