"""`GET /inference/access`, and which credential each route needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.errors import ConfigError
from serve_app.api.management.schema.document import OPERATIONS
from serve_app.auth import tenants
from serve_app.ledger.counts import NO_NAMES
from tests.support.management import KEYS, MakeWorld
from tests.support.tokens import token


@pytest.mark.parametrize(
    ("variables", "key", "said"),
    [
        ({}, None, {"key_needed": False, "known": True, "access": "m", "may_change_settings": True, "admin": "open"}),
        (
            KEYS,
            None,
            {"key_needed": True, "known": False, "access": None, "may_change_settings": False, "admin": "key"},
        ),
        (KEYS, "r", {"key_needed": True, "known": True, "access": "r", "may_change_settings": False, "admin": "key"}),
        (KEYS, "a", {"key_needed": True, "known": True, "access": "m", "may_change_settings": True, "admin": "key"}),
        ({"qdrant_api_key": "k" * 20}, "k", {"known": True, "may_change_settings": False, "admin": "none"}),
    ],
)
async def test_access_says_what_a_caller_may_do(world: MakeWorld, variables: Any, key: str | None, said: Any) -> None:
    shown = {} if key is None else {"api_key": key * 20}
    answer = (await world(**variables).ask("GET", "/inference/access", **shown)).json
    assert {**answer["result"], **said} == answer["result"]
    assert answer["result"]["grpc_port"] == 7777


async def test_access_refuses_a_wrong_key(world: MakeWorld) -> None:
    answer = await world(**KEYS).ask("GET", "/inference/access", api_key="wrong")
    assert answer.status == 401


@pytest.mark.parametrize("path", ["models", "live", "usage", "settings"])
async def test_reading_needs_a_key_if_the_service_does(world: MakeWorld, path: str) -> None:
    here = world(**KEYS)
    assert (await here.ask("GET", f"/inference/{path}")).status == 401
    assert (await here.ask("GET", f"/inference/{path}", api_key="wrong")).status == 401
    for key in ("k" * 20, "r" * 20, "a" * 20):
        assert (await here.ask("GET", f"/inference/{path}", api_key=key)).status == 200


async def test_the_admin_key_does_what_the_key_of_the_service_does_and_qdrant_sees_that_one(world: MakeWorld) -> None:
    here = world(**KEYS, qdrant_url="http://localhost:1")
    assert (await here.ask("DELETE", "/collections/recipes", api_key="a" * 20)).status == 200
    assert dict(here.qdrant.requests[-1].headers)[b"api-key"] == b"k" * 20


UNCHECKED = {"value_exists": {"collection": "users", "matches": [{"key": "user", "value": "ann"}]}}
GRANTS = [{"collection": "recipes", "access": "rw"}]
QUESTIONS: dict[str, Any] = {
    "/inference/settings": {"models": {"d/Dense": False}},
    "/inference/playground": {"inputs": [{"text": "x"}], "models": ["d/Dense"]},
    "/v1/embeddings": {"model": "d/Dense", "input": "x"},
    "/v1/rerank": {"model": "r/reranker", "query": "x", "documents": ["x"]},
    "/v2/rerank": {"model": "r/reranker", "query": "x", "documents": ["x"]},
    "/rerank": {"query": "x", "texts": ["x"]},
}
ROUTES = [route for route in OPERATIONS if route[1] != "/inference/openapi.json"]


def with_token(claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(claims, b'k' * 20).decode()}"}


@pytest.mark.parametrize("access", ["m", "r", GRANTS], ids=["m", "r", "grants"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_route_that_qdrant_never_sees_takes_no_token_that_only_qdrant_can_check(
    world: MakeWorld, method: str, path: str, access: Any
) -> None:
    here = world(**KEYS, qdrant_jwt_rbac=True, qdrant_url="http://localhost:1")
    place, body = path.replace("{model}", "d/Dense"), QUESTIONS.get(path) if method != "get" else None
    answer = await here.ask(method.upper(), place, body, **with_token({"access": access, **UNCHECKED}))
    assert answer.status == 403
    assert "only Qdrant checks value_exists" in answer.content.decode()
    assert not len(here.ledger.meter.take())
    if (method, access) == ("get", "m"):
        assert (await here.ask("GET", place, **with_token({"access": access}))).status == 200


async def test_no_token_makes_its_bearer_a_caller_of_the_inference_service(world: MakeWorld) -> None:
    here = world(**KEYS, qdrant_jwt_rbac=True, qdrant_url="http://localhost:1")
    body = {"inputs": [{"data": "hello", "data_type": "text", "model": "d/Dense"}], "inference": "search"}
    for claims in ({"access": "m"}, {"access": "m", **UNCHECKED}):
        shown = token(claims, b"k" * 20).decode()
        assert (await here.ask("POST", "/inference", body, api_key=shown)).status == 401
        assert (await here.ask("POST", "/inference", {**body, "token": shown})).status == 401
    assert not len(here.ledger.meter.take())


@pytest.mark.parametrize("subject", sorted(NO_NAMES))
async def test_a_subject_under_which_others_are_counted_is_no_name(world: MakeWorld, subject: str) -> None:
    here = world(**KEYS, qdrant_jwt_rbac=True)
    await here.query(api_key="k" * 20)
    await here.ledger.tick()
    for access, seen, status in (("m", "m", 200), ("r", "r", 200), (GRANTS, "collections", 403)):
        shown = with_token({"access": access, "subject": subject})
        told = (await here.ask("GET", "/inference/access", **shown)).result
        assert (told["tenant"], told["access"]) == (None, seen)
        for query in ("", "?group_by=tenant", "?group_by=model,day"):
            assert (await here.ask("GET", f"/inference/usage{query}", **shown)).status == status
    named = with_token({"access": GRANTS, "subject": "shop"})
    assert (await here.ask("GET", "/inference/usage", **named)).result["rows"] == []


@pytest.mark.parametrize("name", sorted(NO_NAMES))
def test_no_tenant_has_a_name_under_which_others_are_counted(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(f"tenants:\n- {{name: '{name}', keys: ['{'0' * 64}']}}\n")
    with pytest.raises(ConfigError, match="counted under this name"):
        tenants.load(path)
