"""What was computed is counted, however its request ends; and nothing is computed that is known to be in vain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.errors import WrongInput
from serve_app.config.settings import Coalescing, IngressSettings
from serve_app.inference import find_json
from serve_app.inference.places import rest_place
from serve_app.ledger.meter import Caller, Meter
from serve_app.ledger.quotas import Quota, Quotas
from tests.support.fakes import FakeModel
from tests.support.gateway import UPSERT, Gateway

TEXTS = [{"id": n, "vector": {"text": f"text {n}", "model": "org/dense"}} for n in range(50)]


class Failing(FakeModel):
    """Reads all batches but those with a text that is `bad`; for that it waits, or fails."""

    def __init__(self, *, waits: bool = False) -> None:
        super().__init__()
        self.waits = waits

    async def __call__(self, batch: Any) -> Any:
        if not any("bad" in text for text in batch.inputs):
            return await super().__call__(batch)
        await asyncio.sleep(3600 if self.waits else 0.05)
        raise WrongInput("bad")


def gateway(model: FakeModel, meter: Meter, **settings: Any) -> Gateway:
    small = IngressSettings(coalescing=Coalescing(inputs=10), **settings)
    return Gateway(settings=small, models={"org/dense": model}, meter=meter)


def charged(meter: Meter) -> int:
    return meter.take().tokens


BAD = {"id": 99, "vector": {"text": "bad", "model": "org/dense"}}


@pytest.mark.parametrize(("waits", "status"), [(False, 400), (True, 504)])
async def test_a_request_that_fails_is_charged_what_was_read_for_it(waits: bool, status: int) -> None:
    meter = Meter()
    here = gateway(Failing(waits=waits), meter, timeout_s=0.3)
    answer = await here.put({"points": [*TEXTS, BAD]})
    assert answer.status_code == status
    assert charged(meter) >= sum(len(f"passage: text {n}") for n in range(40))
    assert here.qdrant.requests == []


async def test_a_caller_that_hangs_up_is_charged_what_was_read_for_it() -> None:
    meter = Meter()
    here = gateway(Failing(waits=True), meter)
    asking = asyncio.create_task(here.put({"points": [*TEXTS, BAD]}))
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert charged(meter) > 0


async def test_a_failed_request_takes_from_the_quota() -> None:
    quotas = Quotas({"shop": {"org/dense": Quota(tokens_per_minute=1000)}})
    meter = Meter(quotas)
    before = quotas.left("shop", {"org/dense": 0})
    here = gateway(Failing(), meter)
    slots = {"points": [*TEXTS, BAD]}
    caller = Caller("shop")
    with pytest.raises(WrongInput):
        await here.embedder.embed(_slots(slots), "update", caller=caller)
    left = quotas.left("shop", {"org/dense": 0})
    assert before is not None
    assert left is not None
    assert left.tokens < before.tokens


def _slots(body: Any) -> Any:
    place = rest_place("PUT", "/collections/c/points")
    assert place is not None
    return find_json.find(body, place.schema, 64)


async def test_what_cannot_be_stored_is_refused_before_a_model_runs() -> None:
    meter = Meter()
    here = gateway(FakeModel(), meter)
    sparse = {"id": 99, "vector": {"text": "tea", "model": "qdrant/bm25"}}
    answer = await here.put({"points": [*TEXTS, sparse]})
    assert answer.status_code == 400
    assert "name the vector" in answer.json()["status"]["error"]
    assert charged(meter) == 0
    assert here.embedder.router.in_flight() == dict.fromkeys(here.embedder.router.in_flight(), 0)


async def test_a_request_that_succeeds_is_charged_once() -> None:
    meter = Meter()
    await gateway(FakeModel(), meter).put(UPSERT)
    assert charged(meter) == len("passage: tea")
