"""What passes between an ingress replica and the database once a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.ledger.counts import Counts
from serve_app.ledger.quotas import Spender
from serve_app.ledger.switches import ALL_ON, Switches


@dataclass(frozen=True)
class Report:
    """What a replica writes. One that is sent again has the same number, and is counted once."""

    replica: str
    sequence: int
    at: float
    counts: Counts
    told: Mapping[str, Any]


@dataclass(frozen=True)
class News:
    """What it reads: switches, what the other replicas tell, and what tenants have spent in a month."""

    switches: Switches = ALL_ON
    others: Sequence[Mapping[str, Any]] = ()
    spent: Mapping[Spender, int] = field(default_factory=dict)
