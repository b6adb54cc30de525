"""Which paths are the console's, and what is answered if something is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.management import MakeWorld


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


async def test_qdrant_servers_are_still_answered(world: MakeWorld) -> None:
    body = {"inputs": [{"data": "hello", "data_type": "text", "model": "d/Dense"}], "inference": "search"}
    assert len((await world().ask("POST", "/inference", body)).json["embeddings"]) == 1


async def test_the_address_without_a_slash_leads_to_the_page(world: MakeWorld) -> None:
    answer = await world().ask("GET", "/inference")
    assert (answer.status, answer.headers["location"]) == (308, "inference/")
