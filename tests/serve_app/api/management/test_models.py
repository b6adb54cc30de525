"""`GET /inference/models`."""

from __future__ import annotations

import asyncio

from deployments.contract import Running
from serve_app.cluster.model_states import ModelState
from tests.support.management import MakeWorld


async def test_models_say_what_they_are_and_how_they_are(world: MakeWorld) -> None:
    here = world()
    here.states["s/sparse"] = ModelState("failed", "the file is damaged", 0, 1)
    here.states["b/bm25"] = ModelState("scaled to zero")
    del here.states["c/clip-text"]
    await here.ask("PUT", "/inference/settings", {"models": {"c/clip-vision": False}})
    answer = (await here.ask("GET", "/inference/models")).json
    models = {model["name"]: model for model in answer["result"]["models"]}
    states = ["ready", "failed", "scaled to zero", "unknown", "off", "ready"]
    assert [model["state"] for model in models.values()] == states
    dense = models["d/Dense"]
    assert dense["options"] == ["mrl"]
    assert (dense["provider"], dense["free_tokens_per_month"], dense["aliases"]) == ("cpu", 100, ["short"])
    assert models["s/sparse"]["reason"] == "the file is damaged"
    assert models["b/bm25"]["modifier"] == "idf"
    assert "k" in models["b/bm25"]["options"]
    assert models["c/clip-text"]["shared_with"] == ["c/clip-vision"]
    assert models["c/clip-vision"]["image_limits"]["max_pixels"] > 0
    reranker = models["r/reranker"]
    assert (reranker["vector"], reranker["reads"], reranker["dimensions"]) == ("score", ["pair"], None)


async def test_the_schemas_of_options_are_told_once_and_not_with_every_look(world: MakeWorld) -> None:
    here = world()
    listed = await here.ask("GET", "/inference/models")
    assert len(listed.content) / len(listed.result["models"]) < 1000
    options = (await here.ask("GET", "/inference/options")).result["models"]
    assert options["d/Dense"]["mrl"]["maximum"] == 4
    assert options["b/bm25"]["k"]["default"] is None
    assert {model["name"]: model["options"] for model in listed.result["models"]} == {
        name: sorted(schemas) for name, schemas in options.items()
    }


async def test_only_models_with_replicas_are_asked_how_they_run_and_once(world: MakeWorld) -> None:
    here = world()
    here.states["b/bm25"] = ModelState("scaled to zero")
    for _ in range(3):
        await here.ask("GET", "/inference/models")
    assert sorted(here.replicas.asked) == ["c/clip-text", "c/clip-vision", "d/Dense", "r/reranker", "s/sparse"]


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
