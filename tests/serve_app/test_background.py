"""What is looked after while the gateway runs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app import background
from serve_app.api.health import Health
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Quota, Quotas
from serve_app.observability.metrics import (
    BATCHES_IN_FLIGHT,
    LEDGER_BEHIND,
    QUOTA_USED,
    UPSTREAM_UP,
    WAITING_TOKENS,
)
from tests.support.fakes import FakeModel, FakeQdrant, states
from tests.support.gateway import UPSERT
from tests.support.seeing import Seen


async def nothing() -> None: ...


LEDGER: Any = SimpleNamespace(behind=False, look_around=nothing)
ALIASES: Any = SimpleNamespace(look=nothing)
ADDITIONS: Any = SimpleNamespace(tend=nothing)
AWAY: Any = SimpleNamespace(behind=True)


async def test_gauges_tell_what_is_under_way() -> None:
    started, go_on, model = asyncio.Event(), asyncio.Event(), FakeModel()

    async def slow(batch: Any) -> Any:
        started.set()
        await go_on.wait()
        return await model(batch)

    gateway = Seen(models={"org/dense": slow})
    request = asyncio.create_task(gateway.put(UPSERT))
    await started.wait()
    background.measure(gateway.embedder, AWAY)
    assert BATCHES_IN_FLIGHT.values["org/dense",] == 1
    assert WAITING_TOKENS.values["org/dense",] > 0
    assert LEDGER_BEHIND.values[()] == 1
    go_on.set()
    await request
    background.measure(gateway.embedder, LEDGER)
    assert (
        BATCHES_IN_FLIGHT.values["org/dense",] == WAITING_TOKENS.values["org/dense",] == LEDGER_BEHIND.values[()] == 0
    )


def test_the_fullest_quota_of_all_tenants_is_told() -> None:
    quota = {"org/dense": Quota(tokens_per_month=100)}
    quotas = Quotas({"one": quota, "other": quota})
    for tenant, tokens in (("one", 25), ("other", 90)):
        quotas._spending(tenant, "org/dense").add(tokens)
    gateway = Seen(meter=Meter(quotas))
    background.measure(gateway.embedder, LEDGER)
    assert QUOTA_USED.values["org/dense", "month"] == pytest.approx(0.9)


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PERIOD_S", 0.001)
    monkeypatch.setattr(background, "_SOON_S", 0.001)


async def until(reached: asyncio.Event, health: Health, aliases: Any = ALIASES) -> None:
    """Watch until something has happened."""
    task = asyncio.create_task(background.watch(health, Seen().embedder, LEDGER, aliases, ADDITIONS))
    await asyncio.wait_for(reached.wait(), 10)
    task.cancel()


@pytest.mark.usefixtures("looking_often")
async def test_it_looks_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    healthy = asyncio.Event()
    health = Health(FakeQdrant(), states)
    check = health.check

    async def failing_once() -> None:
        looks.append(None)
        if len(looks) == 1:
            raise RuntimeError
        await check()
        healthy.set()

    monkeypatch.setattr(health, "check", failing_once)
    UPSTREAM_UP.set(0)
    await until(healthy, health)
    assert UPSTREAM_UP.values[()] == 1


@pytest.mark.usefixtures("looking_often")
async def test_what_cannot_be_looked_at_is_looked_at_again() -> None:
    looked_twice, looks = asyncio.Event(), iter((False, True))

    async def look() -> None:
        if not next(looks):
            raise RuntimeError
        looked_twice.set()

    await until(looked_twice, Health(FakeQdrant(), states), SimpleNamespace(look=look))


async def test_a_store_that_starts_beside_the_gateway_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PERIOD_S", 1000)
    monkeypatch.setattr(background, "_SOON_S", 0.001)
    health, there = Health(FakeQdrant(), states), asyncio.Event()
    check, looks = health.check, iter(range(1000))

    async def away_at_first() -> None:
        if next(looks) == 3:
            await check()
            there.set()

    monkeypatch.setattr(health, "check", away_at_first)
    assert health.trouble
    await until(there, health)
    assert not health.trouble
