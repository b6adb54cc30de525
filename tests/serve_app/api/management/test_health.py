"""`GET /inference/health`, and where people look for a dashboard."""

from __future__ import annotations

from serve_app.cluster.model_states import ModelState
from tests.support.management import MakeWorld


async def test_a_service_whose_parts_are_well_has_no_problems(world: MakeWorld) -> None:
    here = world(embedded=True)
    here.qdrant.answer = {"title": "qdrant", "version": "1.19.0"}
    await here.health.check()
    answer = (await here.ask("GET", "/inference/health")).result
    assert answer["qdrant"] == {"kind": "embedded", "ready": True, "trouble": None, "version": "1.19.0"}
    assert answer["store"]["bytes"] == 5 * 2**20
    assert answer["problems"] == []


async def test_what_is_wrong_is_told_with_what_to_do(world: MakeWorld) -> None:
    here = world()
    here.qdrant.status = 500
    await here.health.check()
    here.states["s/sparse"] = ModelState("failed", "the file is damaged")
    here.ledger._in_step_at -= 10_000
    answer = (await here.ask("GET", "/inference/health")).result
    assert [problem["about"] for problem in answer["problems"]] == ["qdrant", "ledger", "s/sparse"]
    assert "QDRANT_URL" in answer["problems"][0]["to_do"]
    assert answer["problems"][2]["what"] == "the file is damaged"
    assert answer["store"] is None


async def test_a_version_that_is_no_text_is_not_told(world: MakeWorld) -> None:
    here = world()
    here.qdrant.answer = {"version": ["x"]}
    assert (await here.ask("GET", "/inference/health")).result["qdrant"]["version"] is None


async def test_the_dashboard_of_the_embedded_store_is_the_console(world: MakeWorld) -> None:
    here = world(embedded=True)
    for path, place in (("/dashboard", "inference/"), ("/dashboard/", "../inference/")):
        answer = await here.ask("GET", path)
        assert (answer.status, answer.headers["location"]) == (307, place)
    assert here.qdrant.requests == []


async def test_the_dashboard_of_a_qdrant_server_is_its_own(world: MakeWorld) -> None:
    here = world()
    assert (await here.ask("GET", "/dashboard")).status == 200
    assert here.qdrant.requests[-1].path == "/dashboard"
