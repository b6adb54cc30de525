"""Every route keeps to what openapi.json says, and lets in whom it should."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from qdrant_client import grpc as models

from deployments.contract import Batch, Embeddings, Running
from deployments.errors import QuotaUsedUp, SwitchedOff
from serve_app.cluster.model_states import ModelState
from serve_app.ledger.switches import Switches
from serve_app.protocol.error_responses import GRPC, headers_of
from serve_app.protocol.messages import Call
from tests.support.fakes import FakeModel
from tests.support.management import KEYS, MakeWorld, tenants_file
from tests.support.tokens import token


async def test_models_say_what_they_are_and_how_they_are(world: MakeWorld) -> None:
    here = world()
    here.states["s/sparse"] = ModelState("failed", "the file is damaged", 0, 1)
    here.states["b/bm25"] = ModelState("scaled to zero")
    del here.states["c/clip-text"]
    await here.ask("PUT", "/inference/settings", {"models": {"c/clip-vision": False}})
    answer = (await here.ask("GET", "/inference/models")).json
    models = {model["name"]: model for model in answer["result"]["models"]}
    assert [model["state"] for model in models.values()] == ["ready", "failed", "scaled to zero", "unknown", "off"]
    dense = models["d/Dense"]
    assert dense["options"]["mrl"]["maximum"] == 4
    assert (dense["provider"], dense["free_tokens_per_month"], dense["aliases"]) == ("cpu", 100, ["short"])
    assert models["s/sparse"]["reason"] == "the file is damaged"
    assert models["b/bm25"]["modifier"] == "idf"
    assert models["b/bm25"]["options"]["k"]["default"] is None
    assert models["c/clip-text"]["shared_with"] == ["c/clip-vision"]
    assert models["c/clip-vision"]["image_limits"]["max_pixels"] > 0


async def test_only_models_with_replicas_are_asked_how_they_run_and_once(world: MakeWorld) -> None:
    here = world()
    here.states["b/bm25"] = ModelState("scaled to zero")
    for _ in range(3):
        await here.ask("GET", "/inference/models")
    assert sorted(here.replicas.asked) == ["c/clip-text", "c/clip-vision", "d/Dense", "s/sparse"]


async def test_a_busy_replica_does_not_hold_up_the_list(world: MakeWorld) -> None:
    here = world()
    go_on = asyncio.Event()
    run = here.replicas.running

    async def busy(model: str) -> Running:
        await go_on.wait()
        return await run(model)

    here.replicas.running = busy  # type: ignore[method-assign]
    models = await asyncio.wait_for(here.ask("GET", "/inference/models"), 1)
    assert {model["provider"] for model in models.result["models"]} == {None}
    go_on.set()
    models = await here.ask("GET", "/inference/models")
    assert {model["provider"] for model in models.result["models"]} == {"cpu"}


async def test_live_figures_count_what_was_done(world: MakeWorld) -> None:
    here = world()
    await here.query()
    await here.ledger.tick()
    answer = (await here.ask("GET", "/inference/live")).result
    assert answer["models"]["d/Dense"]["requests_per_s"] == 0.1
    assert answer["total"]["p95_ms"] > 0
    assert answer["ledger"] == {
        "behind": False,
        "behind_s": 0.0,
        "waiting_tokens": 0,
        "database": "sqlite",
        "split": False,
    }
    assert answer["ingress_replicas"] == 1


async def test_the_latency_of_a_model_is_that_of_its_own_part(world: MakeWorld) -> None:
    class Slow(FakeModel):
        async def __call__(self, batch: Batch) -> Embeddings:
            await asyncio.sleep(0.2)
            return await super().__call__(batch)

    here = world(models={"d/Dense": Slow()})
    vectors = {name: {"text": "x", "model": name} for name in ("d/Dense", "c/clip-text")}
    assert (await here.ask("PUT", "/collections/c/points", {"points": [{"id": 1, "vector": vectors}]})).status == 200
    await here.ledger.tick()
    live = (await here.ask("GET", "/inference/live")).result
    assert live["models"]["c/clip-text"]["p95_ms"] < 100 < live["models"]["d/Dense"]["p50_ms"]
    assert live["total"]["p50_ms"] > 200


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
        ({"models": {"d/Dense": "no"}}, "models.d/Dense: Input should be a valid boolean"),
        ({"inferense": False}, "inferense: Extra inputs are not permitted"),
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


async def test_the_admin_key_does_what_the_key_of_the_service_does_and_qdrant_sees_that_one(world: MakeWorld) -> None:
    here = world(**KEYS, qdrant_url="http://localhost:1")
    assert (await here.ask("DELETE", "/collections/recipes", api_key="a" * 20)).status == 200
    assert dict(here.qdrant.requests[-1].headers)[b"api-key"] == b"k" * 20


@pytest.mark.parametrize("path", ["models", "live", "usage", "settings"])
async def test_reading_needs_a_key_where_the_service_does(world: MakeWorld, path: str) -> None:
    here = world(**KEYS)
    assert (await here.ask("GET", f"/inference/{path}")).status == 401
    assert (await here.ask("GET", f"/inference/{path}", api_key="wrong")).status == 401
    for key in ("k" * 20, "r" * 20, "a" * 20):
        assert (await here.ask("GET", f"/inference/{path}", api_key=key)).status == 200


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


async def test_a_tenant_that_used_up_its_quota_is_refused_and_told_what_is_left(
    world: MakeWorld, tmp_path: Path
) -> None:
    quotas = ", quotas: {'*': {tokens_per_month: 20}, short: {tokens_per_month: 40}}"
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path, quotas))
    let_in = await here.query(api_key="shop" * 10)
    assert let_in.status == 200
    assert let_in.headers["x-ratelimit-limit-tokens"] == "40"
    assert let_in.headers["x-ratelimit-remaining-tokens"] == str(40 - len("query: hello you"))
    assert re.fullmatch(r"\d+s", let_in.headers["x-ratelimit-reset-tokens"])
    while (await here.query(api_key="shop" * 10)).status == 200:
        pass
    refused = await here.query(api_key="shop" * 10)
    assert refused.status == 429
    assert refused.json["status"]["error"] == "the quota of 40 tokens a month for d/Dense is used up"
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
    assert (await here.query("s/sparse", api_key="shop" * 10)).headers["x-ratelimit-limit-tokens"] == "20"
    assert (await here.query(api_key="bakery" * 10)).status == 200
    assert "x-ratelimit-limit-tokens" not in (await here.query(api_key="k" * 20)).headers


async def test_every_door_tells_a_tenant_what_is_left(world: MakeWorld, tmp_path: Path) -> None:
    here = world(
        qdrant_api_key="k" * 20,
        qdrant_inference_tenants=tenants_file(tmp_path, ", quotas: {'*': {tokens_per_month: 1000}}"),
    )
    inputs = [{"data": "x", "data_type": "text", "model": "s/sparse"}]
    for path, body in (
        ("/inference", {"inputs": inputs, "inference": "search"}),
        ("/inference/playground", {"inputs": [{"text": "x"}], "models": ["s/sparse", "nothing"]}),
        ("/v1/embeddings", {"model": "d/Dense", "input": "x"}),
    ):
        answer = await here.ask("POST", path, body, api_key="shop" * 10)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
        assert "x-ratelimit-limit-tokens" not in (await here.ask("POST", path, body, api_key="k" * 20)).headers


async def test_grpc_tells_what_is_left_and_refuses_in_its_own_way(world: MakeWorld, tmp_path: Path) -> None:
    quotas = ", quotas: {'*': {tokens_per_minute: 20}}"
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path, quotas))
    document = models.Document(text="hello you", model="d/Dense")
    query = models.QueryPoints(
        collection_name="recipes", query=models.Query(nearest=models.VectorInput(document=document))
    )
    call = Call("/qdrant.Points/Query", tenant="shop")
    reply = await here.pipeline.grpc(_copy(query), call)
    assert dict(reply.metadata)["x-ratelimit-remaining-tokens"] == "4"
    await here.pipeline.grpc(_copy(query), call)
    with pytest.raises(QuotaUsedUp) as refused:
        await here.pipeline.grpc(_copy(query), call)
    assert GRPC[refused.value.kind] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(headers_of(refused.value)).keys() >= {"retry-after", "x-ratelimit-remaining-tokens"}
    here.switchboard.turn(Switches(collections=frozenset({"recipes"})))
    with pytest.raises(SwitchedOff, match="for the collection 'recipes'") as off:
        await here.pipeline.grpc(_copy(query), replace(call, tenant=None))
    assert GRPC[off.value.kind] is grpc.StatusCode.FAILED_PRECONDITION


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


async def test_a_tenant_sees_its_own_usage_only(world: MakeWorld, tmp_path: Path) -> None:
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path))
    for key in ("shop" * 10, "shop" * 10, "bakery" * 10, "k" * 20):
        await here.query(api_key=key)
    await here.ledger.tick()
    mine = (await here.ask("GET", "/inference/usage?group_by=tenant", api_key="shop" * 10)).json
    assert [(row["tenant"], row["requests"]) for row in mine["result"]["rows"]] == [("shop", 2)]
    (dense,) = [one for one in mine["result"]["allowances"] if one["model"] == "d/Dense"]
    assert (dense["used"], dense["left"]) == (4 * len("query: hello you"), 100 - 4 * len("query: hello you"))
    everybodys = await here.ask("GET", "/inference/usage?group_by=tenant", api_key="k" * 20)
    assert [(row["tenant"], row["requests"]) for row in everybodys.result["rows"]] == [
        (None, 1),
        ("bakery", 1),
        ("shop", 2),
    ]


async def test_while_the_database_is_away_inference_goes_on_and_the_console_says_so(
    world: MakeWorld, tmp_path: Path
) -> None:
    here = world()
    for thread in (here.ledger._syncs, here.ledger._queries):
        thread._url = f"sqlite:///{tmp_path / 'no' / 'folder'}"
    here.ledger._in_step_at -= 10_000
    await here.ledger.start()
    assert (await here.query()).status == 200
    for method, path in (("GET", "usage"), ("PUT", "settings")):
        answer = await here.ask(method, f"/inference/{path}", {} if method == "PUT" else None)
        assert answer.status == 503
        assert "retry-after" in answer.headers

    assert (await here.ask("GET", "/inference/live")).result["ledger"]["behind"] is True
    assert (await here.ask("GET", "/inference/settings")).status == 200


@pytest.mark.parametrize("path", ["/inference/nothing", "/inference/../openapi.json", "/inference/page/../routes.py"])
async def test_what_is_not_there_is_404_and_never_reaches_qdrant(world: MakeWorld, path: str) -> None:
    here = world()
    answer = await here.ask("GET", path)
    assert answer.status == 404
    assert "openapi.json" in answer.json["status"]["error"]
    assert here.qdrant.requests == []


async def test_the_door_for_qdrant_servers_is_still_open(world: MakeWorld) -> None:
    body = {"inputs": [{"data": "hello", "data_type": "text", "model": "d/Dense"}], "inference": "search"}
    assert len((await world().ask("POST", "/inference", body)).json["embeddings"]) == 1


async def test_the_address_without_a_slash_leads_to_the_page(world: MakeWorld) -> None:
    answer = await world().ask("GET", "/inference")
    assert (answer.status, answer.headers["location"]) == (308, "inference/")
