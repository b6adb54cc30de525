"""What probes are answered, as Kubernetes understands it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.errors import UpstreamUnavailable
from serve_app.api import health as health_module
from serve_app.api.health import Health
from serve_app.observability.metrics import UPSTREAM_UP
from serve_app.protocol.messages import Request
from tests.support.fakes import FakeQdrant, states
from tests.support.seeing import Seen


def broken(qdrant: FakeQdrant, error: Any) -> None:
    async def fail(request: Request) -> None:
        if error is None:
            await asyncio.sleep(60)
        raise error

    qdrant.rest = fail  # type: ignore[assignment,method-assign]


async def test_it_is_ready_when_qdrant_has_answered() -> None:
    qdrant = FakeQdrant()
    health = Health(qdrant, states)
    gateway = Seen(health=health)
    assert (await gateway.client.get("/readyz")).status_code == 503, "nobody has asked Qdrant yet"
    await health.check()
    answer = await gateway.client.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "all shards are ready")
    assert answer.headers["content-type"].startswith("text/plain")
    assert UPSTREAM_UP.values[()] == 1


async def test_a_qdrant_away_makes_it_not_ready_but_leaves_it_alive() -> None:
    qdrant = FakeQdrant()
    health = Health(qdrant, states)
    await health.check()
    broken(qdrant, UpstreamUnavailable("Qdrant cannot be reached"))
    await health.check()
    gateway = Seen(health=health)
    assert (await gateway.client.get("/readyz")).status_code == 503
    assert (await gateway.client.get("/livez")).status_code == 200
    assert (await gateway.client.get("/healthz")).status_code == 200
    assert UPSTREAM_UP.values[()] == 0


async def test_a_qdrant_that_hangs_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_PATIENCE_S", 0.01)
    qdrant = FakeQdrant()
    broken(qdrant, None)
    health = Health(qdrant, states)
    await asyncio.wait_for(health.check(), 5)
    assert (await Seen(health=health).client.get("/readyz")).status_code == 503


async def test_verbose_names_what_is_not_ready_and_a_model_at_zero_is_no_reason() -> None:
    health = Health(FakeQdrant(), states)
    await health.check()
    answer = await Seen(health=health).client.get("/readyz?verbose")
    assert answer.status_code == 200
    assert answer.text.splitlines() == [
        "[+] qdrant: ready",
        "[+] org/dense: ready",
        "[-] org/vision: scaled to zero",
        "all shards are ready",
    ]


async def test_verbose_says_why_it_is_not_ready() -> None:
    qdrant = FakeQdrant(status=502)
    health = Health(qdrant, states)
    await health.check()
    answer = await Seen(health=health).client.get("/readyz?verbose")
    assert answer.status_code == 503
    assert answer.text.startswith("[-] qdrant: answers with status 502\n")
    assert answer.text.endswith("some shards are not ready")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_a_probe_does_not_reach_qdrant(path: str) -> None:
    gateway = Seen(health=Health(FakeQdrant(), states))
    await gateway.client.get(path)
    assert gateway.qdrant.requests == []
