"""Live figures."""

from __future__ import annotations

from typing import Literal

from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import REFUSED


class Figures(Shape):
    """Rates are means of the last ten seconds, latencies of the last minute; a p is null if there was no request.

    Of a model: its own part of requests, its wait in the queue included. In `total`: all of inference in requests as a
    whole, each counted once.
    """

    tokens_per_s: float
    requests_per_s: float
    p50_ms: float | None
    p95_ms: float | None


class LedgerState(Shape):
    """How the ledger is doing."""

    behind: bool
    """the database is away; usage waits in memory"""
    behind_s: float
    """for how many seconds"""
    waiting_tokens: int
    """tokens that were counted and are not in the database yet"""
    database: Literal["sqlite", "postgresql"]
    split: bool
    """SQLite on several nodes of Ray: each counts for itself, and a switch reaches the ingress replicas of one node
    only"""


class Live(Shape):
    """Figures for all, and for each model that was used in the last minute."""

    total: Figures
    models: dict[str, Figures]
    ledger: LedgerState
    ingress_replicas: int


class LiveAnswer(Answered):
    """Live figures."""

    result: Live


FIGURES = {"tokens_per_s": 1250.5, "requests_per_s": 81.0, "p50_ms": 6.1, "p95_ms": 11.8}
"""An example."""

OPERATIONS: Operations = {
    ("get", "/inference/live"): Operation(
        tag="console",
        summary="Live figures of the last ten seconds, and how the ledger is doing",
        description="Any credential. Cheap enough to be asked every second. All ingress replicas together.",
        answer=LiveAnswer,
        means="Figures for all, and for each model that was used in the last minute.",
        example=answered(
            {
                "total": FIGURES,
                "models": {"sentence-transformers/all-minilm-l6-v2": FIGURES},
                "ledger": {
                    "behind": False,
                    "behind_s": 0.0,
                    "waiting_tokens": 0,
                    "database": "sqlite",
                    "split": False,
                },
                "ingress_replicas": 1,
            },
            0.0008,
        ),
        refusals=REFUSED,
    )
}
