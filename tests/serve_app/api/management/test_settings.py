"""`/inference/settings`: the switches, and who may turn them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.contract import Batch, Embeddings
from tests.support.fakes import FakeModel
from tests.support.management import KEYS, MakeWorld
from tests.support.tokens import token


async def test_a_switch_refuses_and_lets_in_again(world: MakeWorld) -> None:
    here = world()
    body = {"models": {"SHORT": False}, "collections": {"other": False}}
    changed = (await here.ask("PUT", "/inference/settings", body)).json
    assert changed["result"] == {"inference": True, "models": {"d/Dense": False}, "collections": {"other": False}}
    refused = await here.query()
    assert refused.status == 400
    assert refused.json["status"]["error"] == "inference is switched off for the model 'd/Dense'"
    assert here.qdrant.requests == []
    assert (await here.ask("GET", "/collections/recipes")).status == 200
    assert (await here.query("s/sparse")).status == 200
    assert (await here.ask("PUT", "/inference/settings", {"models": {"d/dense": True}})).result["models"] == {}
    assert (await here.query()).status == 200
    await here.ask("PUT", "/inference/settings", {"collections": {"recipes": False}})
    refused = await here.query()
    assert refused.json["status"]["error"] == "inference is switched off for the collection 'recipes'"
    await here.ask("PUT", "/inference/settings", {"inference": False, "collections": {"recipes": True}})
    assert (await here.query()).json["status"]["error"] == "inference is switched off"
    shown = (await here.ask("GET", "/inference/settings")).json
    assert shown["result"]["inference"] is False


async def test_a_request_in_flight_finishes_when_its_model_is_switched_off(world: MakeWorld) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    class Slow(FakeModel):
        async def __call__(self, batch: Batch) -> Embeddings:
            began.set()
            await go_on.wait()
            return await super().__call__(batch)

    here = world(models={"d/Dense": Slow()})
    in_flight = asyncio.create_task(here.query())
    await began.wait()
    assert (await here.ask("PUT", "/inference/settings", {"models": {"d/Dense": False}})).status == 200
    refused = await here.query()
    assert refused.json["status"]["error"] == "inference is switched off for the model 'd/Dense'"
    go_on.set()
    assert (await in_flight).status == 200
    assert len(here.qdrant.requests) == 1
    assert (await here.query()).status == 400


async def test_what_is_switched_off_is_off_from_the_first_request_after_a_restart(world: MakeWorld) -> None:
    before = world()
    await before.ledger.start()
    await before.ask("PUT", "/inference/settings", {"models": {"d/Dense": False}})
    await before.ledger.close()
    after = world()
    await after.ledger.start()
    refused = await after.query()
    assert (refused.status, after.qdrant.requests) == (400, [])
    assert refused.json["status"]["error"] == "inference is switched off for the model 'd/Dense'"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"models": {"nothing": False}}, "models: no model 'nothing' here"),
        ({"models": {"d/Dense": "no"}}, "models.d/Dense: expected true or false"),
        ({"inferense": False}, "inferense: unknown key (did you mean 'inference'?)"),
        (b"{", "not JSON"),
        (b"", "top level"),
    ],
)
async def test_a_change_that_is_wrong_changes_nothing(world: MakeWorld, body: Any, said: str) -> None:
    here = world()
    answer = await here.ask("PUT", "/inference/settings", body)
    assert answer.status == 400
    assert said in answer.json["status"]["error"]
    assert (await here.ask("GET", "/inference/settings")).result == {"inference": True, "models": {}, "collections": {}}


async def test_settings_are_changed_with_the_admin_key_only(world: MakeWorld) -> None:
    here, change = world(**KEYS), {"inference": False}
    assert (await here.ask("PUT", "/inference/settings", change)).status == 401
    assert (await here.ask("PUT", "/inference/settings", change, api_key="wrong")).status == 401
    for key in ("k" * 20, "r" * 20):
        refused = (await here.ask("PUT", "/inference/settings", change, api_key=key)).json
        assert refused["status"]["error"] == "the settings may be changed with the admin key only"
    assert (await here.ask("PUT", "/inference/settings", change, api_key="a" * 20)).status == 200
    assert (await here.ask("PUT", "/inference/settings", change, authorization="Bearer " + "a" * 20)).status == 200


async def test_without_an_admin_key_nobody_who_needs_a_key_changes_settings(world: MakeWorld) -> None:
    here = world(qdrant_api_key="k" * 20)
    refused = await here.ask("PUT", "/inference/settings", {"inference": False}, api_key="k" * 20)
    assert refused.status == 403
    assert "set QDRANT_INFERENCE_ADMIN_KEY" in refused.json["status"]["error"]


async def test_an_admin_key_guards_the_settings_of_an_open_service(world: MakeWorld) -> None:
    here = world(qdrant_inference_admin_key="a" * 20)
    assert (await here.ask("PUT", "/inference/settings", {})).status == 403
    assert (await here.ask("PUT", "/inference/settings", {}, api_key="wrong")).status == 403
    assert (await here.ask("PUT", "/inference/settings", {}, api_key="a" * 20)).status == 200
    assert (await here.ask("GET", "/inference/models")).status == 200


async def test_who_may_see_one_collection_is_told_of_no_other_that_is_switched_off(world: MakeWorld) -> None:
    here = world(**KEYS, qdrant_jwt_rbac=True)
    off = {"recipes": False, "salaries": False}
    await here.ask("PUT", "/inference/settings", {"models": {"d/Dense": False}, "collections": off}, api_key="a" * 20)

    async def told(access: Any) -> Any:
        credential = token({"access": access}, b"k" * 20).decode()
        answer = await here.ask("GET", "/inference/settings", authorization=f"Bearer {credential}")
        return answer.result

    assert await told([{"collection": "recipes", "access": "r"}]) == {
        "inference": True, "models": {"d/Dense": False}, "collections": {"recipes": False}
    }  # fmt: skip
    assert (await told("r"))["collections"] == off
