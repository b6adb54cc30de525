"""What passes between an ingress replica and the database once a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.ledger.additions import Row
from serve_app.ledger.counts import Counts
from serve_app.ledger.quotas import Spender
from serve_app.ledger.switches import ALL_ON, Switches


@dataclass(frozen=True)
class SyncRequest:
    """What a replica writes. One that is sent again has the same number, and is counted once.

    `snapshot` is for the other replicas: this one's live figures and what its tenants spend at the moment.
    """

    replica: str
    sequence: int
    at: float
    counts: Counts
    snapshot: Mapping[str, Any]


@dataclass(frozen=True)
class SyncResponse:
    """What it reads: switches, added models, the other replicas' snapshots, what tenants have spent in a month."""

    switches: Switches = ALL_ON
    others: Sequence[Mapping[str, Any]] = ()
    spent: Mapping[Spender, int] = field(default_factory=dict)
    added: Sequence[Row] = ()
