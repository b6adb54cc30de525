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
    errors_per_s: float
    """requests that failed, those of `refused_per_s` aside; of a model: those that needed it"""
    refused_per_s: float
    """requests that were turned away with 429: too much waited, or a quota was used up"""
    waiting_tokens: int
    """tokens of admitted requests that are not done yet"""
    p50_ms: float | None
    p95_ms: float | None


class ReplicaFigures(Figures):
    """The figures of requests that one ingress replica took."""

    name: str


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
    replicas: list[ReplicaFigures]
    """each ingress replica, the one that answers first"""
    ledger: LedgerState


class TotalHistory(Shape):
    """Figures of requests as a whole, one for each time."""

    tokens_per_s: list[float]
    requests_per_s: list[float]
    errors_per_s: list[float]
    refused_per_s: list[float]
    waiting_tokens: list[int]
    p50_ms: list[float | None]
    p95_ms: list[float | None]


class History(Shape):
    """The figures of the last three minutes in columns, one for each time."""

    now: float
    """the time by the service's clock"""
    times: list[float]
    """seconds since 1970, about two apart"""
    total: TotalHistory
    models: dict[str, list[float]]
    """tokens per second of each model that was used; of hundreds, the busiest at each time"""


class HistoryAnswer(Answered):
    """The last three minutes."""

    result: History


class LiveAnswer(Answered):
    """Live figures."""

    result: Live


FIGURES = {
    "tokens_per_s": 1250.5,
    "requests_per_s": 81.0,
    "errors_per_s": 0.0,
    "refused_per_s": 0.0,
    "waiting_tokens": 340,
    "p50_ms": 6.1,
    "p95_ms": 11.8,
}
"""An example."""

LEDGER = {"behind": False, "behind_s": 0.0, "waiting_tokens": 0, "database": "sqlite", "split": False}
"""Another one."""

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
                "replicas": [{"name": "3f9a0c", **FIGURES}],
                "ledger": LEDGER,
            },
            0.0008,
        ),
        refusals=REFUSED,
    ),
    ("get", "/inference/live/history"): Operation(
        tag="console",
        summary="The live figures of the last three minutes",
        description=(
            "Any credential. Kept in the memory of the ingress replica that answers: what was before its start is "
            "missing."
        ),
        answer=HistoryAnswer,
        means="Columns with one figure for each time, oldest first.",
        example=answered(
            {
                "now": 1795000003.1,
                "times": [1795000000.0, 1795000002.0],
                "total": {name: [figure, figure] for name, figure in FIGURES.items()},
                "models": {"sentence-transformers/all-minilm-l6-v2": [1250.5, 1250.5]},
            },
            0.0008,
        ),
        refusals=REFUSED,
    ),
}
