"""`GET /inference/live`."""

from __future__ import annotations

import asyncio

from deployments.contract import Batch, Embeddings
from serve_app.inference.plan import Group
from tests.support.fakes import FakeModel
from tests.support.management import MakeWorld


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
    (own,) = answer["replicas"]
    assert own == {"name": own["name"], **answer["total"]}


async def test_failures_and_refusals_are_told_apart(world: MakeWorld) -> None:
    here = world()
    here.settings.replace(here.settings.current.model_copy(update={"queue_tokens": 1}))
    group = Group(next(iter(here.pipeline.embedder.catalogue)), "search", {}, "text", inputs=["x" * 20])
    with here.pipeline.embedder.admission.admitted([group], 10):
        assert (await here.query()).status == 429
        assert (await here.query(model="nobody/knows")).status == 400
        await here.ledger.tick()
        live = (await here.ask("GET", "/inference/live")).result
    assert (live["total"]["errors_per_s"], live["total"]["refused_per_s"]) == (0.1, 0.1)
    assert (live["models"]["d/Dense"]["errors_per_s"], live["models"]["d/Dense"]["refused_per_s"]) == (0.0, 0.1)
    assert live["models"]["d/Dense"]["waiting_tokens"] == live["total"]["waiting_tokens"] > 0


async def test_the_last_three_minutes_are_there_for_who_comes_later(world: MakeWorld) -> None:
    here = world()
    await here.query()
    await here.ledger.tick()
    history = (await here.ask("GET", "/inference/live/history")).result
    assert history["models"]["d/Dense"][0] > 0
    assert len(history["times"]) == len(history["total"]["p95_ms"]) == 1


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
