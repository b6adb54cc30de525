"""No filter keeps all other requests waiting: the engine lets nobody else run while it looks through points."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.embedded.edge import filter_work
from serve_app.embedded.engine.errors import TakesLong
from serve_app.embedded.server import Server
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest

POINTS = 400
FEW = 30
"""Conditions that are allowed for so many points after the limit is lowered."""


def conditions(count: int) -> dict[str, Any]:
    """No point passes."""
    return {"should": [{"key": "n", "match": {"value": -1 - number}} for number in range(count)]}


@pytest.fixture
def filled(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> Rest:
    monkeypatch.setattr(filter_work, "MOST_CHECKS", POINTS * FEW)
    rest.result("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}, "sparse_vectors": SPARSE})
    points = [{"id": number, "vector": vectors(number), "payload": payload(number)} for number in range(POINTS)]
    rest.result("PUT", "/collections/c/points", {"points": points})
    return rest


SPARSE = {"words": {"modifier": "idf"}}


def vectors(number: int) -> dict[str, Any]:
    return {"": [number], "words": {"indices": [number % 7], "values": [1.0]}}


def payload(number: int) -> dict[str, Any]:
    return {"n": number, "t": f"group {number % 3}", "even": number % 2 == 0}


WORDS = {"query": {"indices": [1], "values": [1.0]}, "using": "words"}
ASKED: dict[str, Any] = {
    "/points/scroll": {"limit": POINTS},
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


def test_a_filter_of_the_corpus_counts(filled: Rest) -> None:
    body = {**WORDS, "params": {"idf": {"corpus": conditions(FEW + 1)}}}
    assert "no payload index serves" in filled.error("POST", "/collections/c/points/query", body)[1]


def test_a_batch_lets_others_run_between_its_queries(filled: Rest) -> None:
    searches = {"searches": [{"query": [1], "filter": conditions(20)}] * 8}
    busy = threading.Thread(target=filled, args=("POST", "/collections/c/points/query/batch", searches))
    busy.start()
    turns = 0
    while busy.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 4, "after each query, about"


MIXED = {
    "must": [{"key": "even", "match": {"value": True}}, {"key": "n", "range": {"gte": 100, "lt": 240}}],
    "must_not": [{"key": "t", "match": {"value": "group 1"}}],
}
READ: dict[str, Any] = {
    "/points/scroll": {"limit": POINTS, "filter": MIXED},
    "/points/count": {"filter": MIXED},
    "/points/query": {"prefetch": {"query": [1], "filter": MIXED, "limit": 7}, "query": [2], "filter": MIXED},
    "/points/query/groups": {"query": [1], "group_by": "t", "filter": MIXED},
    "/points/search": {"vector": [1], "limit": 20, "filter": MIXED},
    "/points/recommend": {"positive": [1], "limit": 3, "filter": MIXED},
    "/facet": {"key": "t", "filter": MIXED},
}
WRITTEN: dict[str, Any] = {
    "/points/delete": {},
    "/points/payload": {"payload": {"a": 1}},
    "/points/vectors/delete": {"vector": ["words"]},
}


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All filters are worked through in pieces; how many points each piece had."""
    pieces: list[int] = []
    among = filter_work._among

    def counted(shard: Any, ids: list[Any], *condition: Any) -> list[Any]:
        pieces.extend([len(ids)] * len(condition))
        return among(shard, ids, *condition)

    monkeypatch.setattr(filter_work, "_among", counted)
    monkeypatch.setattr(filter_work, "_AT_ONCE_S", 0)
    monkeypatch.setattr(filter_work, "_FEW", 0)
    return pieces


def everything(rest: Rest) -> Any:
    return rest.result("POST", "/collections/c/points/scroll", {"limit": POINTS, "with_vector": True})


@pytest.mark.parametrize("path", READ)
def test_pieces_give_the_answer_that_one_call_gives(
    filled: Rest, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    filled.result("PUT", "/collections/c/index", {"field_name": "t", "field_schema": "keyword"})
    at_once = filled.result("POST", f"/collections/c{path}", READ[path])
    assert at_once
    pieces: list[int] = request.getfixturevalue("in_pieces")
    monkeypatch.setattr(filter_work, "_PIECE_S", 1e-6)
    assert filled.result("POST", f"/collections/c{path}", READ[path]) == at_once
    assert len(pieces) > 10


@pytest.mark.parametrize("path", WRITTEN)
def test_pieces_write_what_one_call_writes(
    rest: Rest, filled: Rest, tmp_path: Path, request: pytest.FixtureRequest, path: str
) -> None:
    before = everything(filled)
    filled.result("POST", f"/collections/c{path}", {**WRITTEN[path], "filter": MIXED})
    at_once = everything(filled)
    assert at_once != before
    other = EmbeddedStore(tmp_path / "other")
    try:
        again = Rest(other)
        again.result("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}, "sparse_vectors": SPARSE})
        again.result("PUT", "/collections/c/points", {"points": before["points"]})
        assert request.getfixturevalue("in_pieces") == []
        again.result("POST", f"/collections/c{path}", {**WRITTEN[path], "filter": MIXED})
        assert everything(again) == at_once
    finally:
        other.close()


def test_a_later_operation_of_a_batch_sees_what_an_earlier_one_wrote(filled: Rest, in_pieces: list[int]) -> None:
    operations = [
        {"set_payload": {"payload": {"even": True}, "points": [123]}},
        {"delete": {"filter": MIXED}},
    ]
    filled.result("POST", "/collections/c/points/batch", {"operations": operations})
    assert in_pieces
    assert filled.result("POST", "/collections/c/points", {"ids": [120, 123]}) == []


def test_the_corpus_may_be_found_in_pieces(filled: Rest, request: pytest.FixtureRequest) -> None:
    body = {**WORDS, "params": {"idf": {"corpus": MIXED}}}
    at_once = filled.result("POST", "/collections/c/points/query", body)
    request.getfixturevalue("in_pieces")
    assert filled.result("POST", "/collections/c/points/query", body) == at_once


def test_pieces_have_an_end(filled: Rest, in_pieces: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_work, "MOST_S", 0)
    monkeypatch.setattr(filter_work, "_PIECE_S", 1e-6)
    status, error = filled.error("POST", "/collections/c/points/count", {"filter": MIXED})
    assert (status, "Timeout" in error) == (408, True)
    assert in_pieces


@pytest.mark.parametrize("path", READ)
def test_what_takes_long_does_not_begin_where_others_wait(filled: Rest, in_pieces: list[int], path: str) -> None:
    if path == "/facet":
        filled.result("PUT", "/collections/c/index", {"field_name": "t", "field_schema": "keyword"})
    body = httpx.Request("POST", "http://x", json=READ[path]).content
    with pytest.raises(TakesLong):
        filled.store.rest("POST", f"/collections/c{path}", "", body, others_wait=True)
    assert set(in_pieces) == {filter_work._SAMPLE}, "no piece"


async def test_quick_requests_do_not_wait_for_those_that_take_long(
    filled: Rest, in_pieces: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    have_begun, may_end = threading.Semaphore(0), threading.Event()
    tried, passing = filter_work.Filters._tried, filter_work.Filters._passing

    def held(self: Any, *arguments: Any) -> Any:
        assert may_end.wait(30)
        return passing(self, *arguments)

    def told(self: Any, *arguments: Any) -> Any:
        have_begun.release()
        return tried(self, *arguments)

    monkeypatch.setattr(filter_work.Filters, "_passing", held)
    monkeypatch.setattr(filter_work.Filters, "_tried", told)
    server = Server(filled.store)
    port, _ = await server.start("127.0.0.1", 0, 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/collections/c", timeout=30) as client:
            long = [asyncio.create_task(client.post("/points/count", json={"filter": MIXED})) for _ in range(8)]
            await asyncio.gather(*(asyncio.to_thread(have_begun.acquire) for _ in long))
            quick = await client.post("/points/query", json={"query": [1]})
            assert quick.status_code == 200
            assert not any(one.done() for one in long)
            may_end.set()
            assert {(await one).json()["result"]["count"] for one in long} == {46}
    finally:
        may_end.set()
        await server._http.cleanup()
        await server._rpc.stop(None)
        server._workers.close()


def test_a_filter_of_updates_is_compared_so_often_at_most(filled: Rest) -> None:
    update = {"update_filter": conditions(251), "points": [{"id": n, "vector": [n]} for n in range(POINTS)]}
    status, error = filled.error("PUT", "/collections/c/points", update)
    assert (status, "100400 times" in error) == (400, True)
    filled.result("PUT", "/collections/c/points", {**update, "update_filter": conditions(1)})


def test_a_sample_is_drawn_anew_if_points_have_come(rest: Rest) -> None:
    rest.result("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}})
    shard, sample = rest.store._engine.collection("c").shard, filter_work.Sample()
    assert sample.of(shard, 0).ids == []
    rest.result("PUT", "/collections/c/points", {"points": [{"id": 7, "vector": [1]}]})
    assert sample.of(shard, 1).ids == [7]
    assert sample.of(shard, 1) is sample.of(shard, 2), "kept for some seconds"
