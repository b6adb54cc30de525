"""`GET /inference/access`, and which credential each route needs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.management import KEYS, MakeWorld


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
