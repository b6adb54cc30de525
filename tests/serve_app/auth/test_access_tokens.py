"""Tokens over both protocols: what they allow, and that nothing runs for one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import orjson
import pytest
from qdrant_client import grpc as q

from serve_app.protocol.messages import Call, Reply, Request, Response, json_response
from serve_app.upstream.base import UpstreamStatus
from tests.support.disguises import DISGUISES
from tests.support.gateway import UPSERT
from tests.support.guarded import (
    KEY,
    KEYS,
    QUERY,
    READ_ONLY,
    REMOTE,
    TOKENS,
    Guarded,
    RecordingQdrant,
    granted,
    query,
    upsert,
)
from tests.support.tokens import token

TABLE = """
    GET /collections/c             | r rw prw | POST /collections/c/points/scroll     | r rw prw
    POST /collections/c/points     | r rw prw | GET /collections/c/snapshots          | r rw
    GET /collections/c/cluster     | r rw     | PUT /collections/c/points             | rw prw
    POST /collections/c/points/batch | rw prw | POST /collections/c/points/delete     | rw prw
    PUT /collections/c/index       | rw       | DELETE /collections/c/index/n         | rw
    PUT /collections/c/vectors/v   | rw       | POST /collections/c/snapshots         | rw
    PUT /collections/c             |          | DELETE /collections/c                 |
    PATCH /collections/c           |          | POST /collections/aliases             |
    GET /telemetry                 | r rw prw | GET /cluster                          |
    PUT /collections/c/shards      |          | PUT /collections/c/snapshots/recover  |
    GET /collections               | r rw prw | GET /aliases                          | r rw prw
    POST /collections/d/points     |          | PUT /collections/d/points             |
"""
"""What a token for the collection `c` opens, by its level there."""


@pytest.mark.parametrize("level", ["r", "rw", "prw"])
async def test_a_token_opens_what_qdrants_table_says(level: str) -> None:
    gateway = Guarded(**TOKENS, **REMOTE)
    cells = [cell.strip() for line in TABLE.strip().splitlines() for cell in line.split("|")]
    for route, levels in zip(cells[::2], cells[1::2], strict=True):
        method, path = route.split()
        answer = await gateway.send(method, path, authorization=f"Bearer {granted(('c', level))}")
        assert answer.status_code == (200 if level in levels.split() else 403), route


@pytest.mark.parametrize(
    ("level", "collection", "said"),
    [
        ("rw", "d", "Forbidden: Access to collection d is required"),
        ("r", "c", "Forbidden: Write access to collection c is required"),
    ],
)
async def test_a_token_is_refused_before_inference(level: str, collection: str, said: str) -> None:
    gateway = Guarded(**TOKENS)
    shown = {"authorization": f"Bearer {granted(('c', level))}"}
    answer = await gateway.send("PUT", f"/collections/{collection}/points", UPSERT, **shown)
    assert (answer.status_code, answer.json()["status"]["error"]) == (403, said)
    assert await gateway.call("/qdrant.Points/Upsert", upsert(collection), **shown) == (
        grpc.StatusCode.PERMISSION_DENIED,
        said,
    )
    assert gateway.untouched


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"access": "m"}, 200),
        ({}, 200),
        ({"access": "r"}, 403),
        ({"access": "m", "exp": 1}, 403),
        ({"access": "everything"}, 401),
        ({"access": [{"collection": "c", "access": "rw", "payload": {"user": 1}}]}, 401),
    ],
)
async def test_global_tokens_read_or_manage(claims: dict[str, Any], status: int) -> None:
    gateway = Guarded(**TOKENS)
    answer = await gateway.send("PUT", "/collections/c", {}, api_key=token(claims, KEY.encode()).decode())
    assert answer.status_code == status


async def test_tokens_are_refused_unless_they_are_switched_on() -> None:
    shown = {"api_key": granted(("c", "rw"))}
    assert (await Guarded(**KEYS).send("PUT", "/collections/c/points", UPSERT, **shown)).status_code == 401
    assert (await Guarded(**TOKENS).send("PUT", "/collections/c/points", UPSERT, **shown)).status_code == 200


async def test_no_token_is_made_with_the_read_only_key() -> None:
    shown = {"api_key": token({"access": "m"}, READ_ONLY.encode()).decode()}
    assert (await Guarded(**TOKENS).send("GET", "/collections", **shown)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {**QUERY, "lookup_from": {"collection": "secret"}},
        {"prefetch": {"prefetch": [{"lookup_from": {"collection": "secret"}}]}, **QUERY},
        {**QUERY, "with_lookup": "secret"},
        {**QUERY, "with_lookup": {"collection": "secret"}},
    ],
)
async def test_a_search_looks_nothing_up_where_the_token_may_not_read(body: dict[str, Any]) -> None:
    gateway = Guarded(**TOKENS)
    shown = {"api_key": granted(("c", "rw"))}
    answer = await gateway.send("POST", "/collections/c/points/query", body, **shown)
    assert answer.status_code == 403
    assert answer.json()["status"]["error"] == "Forbidden: Access to collection secret is required"
    assert gateway.untouched
    shown = {"api_key": granted(("c", "prw"), ("secret", "r"))}
    assert (await gateway.send("POST", "/collections/c/points/query", body, **shown)).status_code == 200
    assert gateway.qdrant.requests


@pytest.mark.parametrize(("encoding", "encode", "status"), DISGUISES)
async def test_a_lookup_hides_in_no_compression(encoding: str, encode: Callable[[bytes], bytes], status: int) -> None:
    gateway = Guarded(**TOKENS)
    body = encode(orjson.dumps({"vector": [0.1], "with_lookup": "secret"}))
    shown = {"api-key": granted(("c", "r")), "content-encoding": encoding}
    for path in ("points/scroll", "points/query", "points/search/groups", "points/recommend/groups"):
        answer = await gateway.client.post(f"/collections/c/{path}", content=body, headers=shown)
        assert (answer.status_code, answer.json()["result"]) == (status, None)
    assert gateway.untouched


async def test_a_call_looks_nothing_up_where_the_token_may_not_read() -> None:
    gateway = Guarded(**TOKENS)
    place = q.LookupLocation(collection_name="secret")
    for message in (query(lookup_from=place), query(prefetch=[q.PrefetchQuery(lookup_from=place)])):
        code, _ = await gateway.call("/qdrant.Points/Query", message, api_key=granted(("c", "rw")))
        assert code is grpc.StatusCode.PERMISSION_DENIED
    assert gateway.untouched
    both = granted(("c", "r"), ("secret", "r"))
    assert (await gateway.call("/qdrant.Points/Query", query(lookup_from=place), api_key=both))[0] is None


async def test_whether_a_value_exists_is_for_a_qdrant_server_to_say() -> None:
    claims = {"value_exists": {"collection": "users", "matches": [{"key": "user", "value": "ann"}]}}
    shown = {"api_key": granted(("c", "rw"), **claims)}
    assert (await Guarded(**TOKENS, **REMOTE).send("PUT", "/collections/c/points", UPSERT, **shown)).status_code == 200
    assert (await Guarded(**TOKENS).send("PUT", "/collections/c/points", UPSERT, **shown)).status_code == 401


async def test_qdrant_sees_the_callers_own_credential() -> None:
    gateway = Guarded(**TOKENS)
    bearer = f"Bearer {granted(('c', 'rw'), subject='shop')}"
    for shown, tenant in (({"api-key": KEY}, None), ({"authorization": bearer}, "shop")):
        await gateway.send("PUT", "/collections/c/points", UPSERT, **shown)
        await gateway.call("/qdrant.Points/Upsert", upsert(), **shown)
        assert gateway.qdrant.seen[-2:] == [(tenant, list(shown.items()))] * 2


class Refusing(RecordingQdrant):
    """A Qdrant that finds no value which the token wants to exist."""

    async def rest(self, request: Request) -> Response:
        await super().rest(request)
        return json_response(401, b'{"status":{"error":"Invalid JWT, stateful validation failed"}}')

    async def grpc(self, message: bytes, call: Call) -> Reply:
        await super().grpc(message, call)
        raise UpstreamStatus(grpc.StatusCode.UNAUTHENTICATED, "stateful validation failed", ())


CLAIMS = {"value_exists": {"collection": "users", "matches": [{"key": "user", "value": "ann"}]}}


async def test_a_model_runs_only_for_who_qdrant_lets_in() -> None:
    shown = {"api_key": granted(("c", "rw"), **CLAIMS)}
    gateway = Guarded(Refusing(), **TOKENS, **REMOTE)
    answer = await gateway.send("PUT", "/collections/c/points", UPSERT, **shown)
    assert (answer.status_code, answer.json()["status"]["error"]) == (401, "Invalid JWT, stateful validation failed")
    code, details = await gateway.call("/qdrant.Points/Query", query(), **shown)
    assert (code, details) == (grpc.StatusCode.UNAUTHENTICATED, "stateful validation failed")
    assert gateway.model.batches == []
    (asked,) = gateway.qdrant.requests
    assert (asked.method, asked.path, asked.body) == ("GET", "/collections/c/exists", b"")


async def test_qdrant_is_asked_first_only_about_what_it_alone_knows() -> None:
    gateway = Guarded(**TOKENS, **REMOTE)
    await gateway.send("PUT", "/collections/c/points", UPSERT, api_key=granted(("c", "rw")))
    await gateway.send("PUT", "/collections/c/points", UPSERT, api_key=granted(("c", "rw"), **CLAIMS))
    assert [request.path for request in gateway.qdrant.requests] == [
        "/collections/c/points",
        "/collections/c/exists",
        "/collections/c/points",
    ]
    assert gateway.model.batches
