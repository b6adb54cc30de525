"""Ledgers of ingress replicas, and requests for them to count."""

from __future__ import annotations

from typing import Any

from deployments.catalogue.card import ModelCard
from serve_app.inference.plan import Group, Use, objects_by_model
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Caller, Meter
from serve_app.ledger.quotas import NO_QUOTAS, Quotas
from serve_app.ledger.switchboard import Switchboard

USE: Any = Use(None, 0, None, "dense")  # type: ignore[arg-type]
CARD = ModelCard(name="m", family="bm25", licence="-", model_card_url="-")


def make_ledger(url: str, quotas: Quotas = NO_QUOTAS, **options: Any) -> Ledger:
    """A ledger with a meter and a switchboard of its own."""
    switchboard = Switchboard()
    return Ledger(Meter(quotas, switchboard), switchboard, url, **options)


def use(ledger: Ledger, tokens: int = 10, tenant: str | None = None, collection: str = "c") -> None:
    """A request that takes so many tokens of the model `m`."""
    group = Group(CARD, "search", {}, ["x"], [USE])
    with ledger.meter.metered(Caller(tenant, collection), "search", [group], objects_by_model([group])) as metered:
        metered.took("m", tokens)
