"""What the gateway looks after every few seconds: its health, gauges, aliases, added models, and where it runs."""

from __future__ import annotations

import asyncio
import itertools
import logging

from serve_app.api.health import Health
from serve_app.cluster.additions import Additions
from serve_app.embedder import Embedder
from serve_app.ledger.ledger import Ledger
from serve_app.observability.metrics import BATCHES_IN_FLIGHT, LEDGER_BEHIND, QUOTA_USED, WAITING_TOKENS
from serve_app.upstream.aliases import Aliases

_PERIOD_S = 4.0
_SOON_S = 0.5
_NODES_PERIODS = 15
_NODES_PATIENCE_S = 2.0

log = logging.getLogger("ray.serve")


async def watch(health: Health, embedder: Embedder, ledger: Ledger, aliases: Aliases, additions: Additions) -> None:
    """Look again and again, until it is cancelled."""
    await asyncio.gather(_watch_qdrant(health), _watch_others(embedder, ledger, aliases, additions))


async def _watch_qdrant(health: Health) -> None:
    """What is away may come at any moment: a store that starts beside the gateway, for example."""
    while True:
        before = health.trouble
        try:
            await health.check()
        except Exception as error:  # noqa: BLE001  the next look may pass
            log.warning("could not ask Qdrant how it is: %s", type(error).__name__)
        if health.trouble != before:
            log.warning("Qdrant: %s", health.trouble or "ready")
        await asyncio.sleep(_SOON_S if health.trouble else _PERIOD_S)


async def _watch_others(embedder: Embedder, ledger: Ledger, aliases: Aliases, additions: Additions) -> None:
    for period in itertools.count():
        try:
            measure(embedder, ledger)
            await aliases.look()
            if period % _NODES_PERIODS == 0:
                await asyncio.wait_for(ledger.look_around(), _NODES_PATIENCE_S)
            await additions.tend()
        except Exception as error:  # noqa: BLE001  as above
            log.warning("could not look after the gateway: %s", type(error).__name__)
        await asyncio.sleep(_PERIOD_S)


def measure(embedder: Embedder, ledger: Ledger) -> None:
    """Set the gauges."""
    for model, tokens in embedder.admission.waiting().items():
        WAITING_TOKENS.set(tokens, model)
    for model, batches in embedder.router.in_flight().items():
        BATCHES_IN_FLIGHT.set(batches, model)
    for (model, window), share in embedder.meter.quotas.fullest().items():
        QUOTA_USED.set(share, model, window)
    LEDGER_BEHIND.set(ledger.behind)
