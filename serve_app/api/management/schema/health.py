"""How the service is doing."""

from __future__ import annotations

from typing import Literal

from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import REFUSED
from serve_app.api.management.schema.live import LEDGER, LedgerState


class QdrantState(Shape):
    """Qdrant, or the embedded store."""

    kind: Literal["embedded", "server"]
    ready: bool
    """whether it answered when it was asked last, some seconds ago"""
    trouble: str | None
    version: str | None
    """as it says itself; of the embedded store, the version whose API it has"""


class StoreSize(Shape):
    """The disk of the embedded store."""

    bytes: int
    free_bytes: int


class Problem(Shape):
    """Something that is wrong."""

    about: str
    """qdrant, ledger, store, or a model's name"""
    what: str
    to_do: str


class ServiceHealth(Shape):
    """How the service is doing at a glance."""

    qdrant: QdrantState
    ledger: LedgerState
    store: StoreSize | None
    """null if Qdrant is a server, and until the store was measured"""
    problems: list[Problem]


class HealthAnswer(Answered):
    """How the service is doing."""

    result: ServiceHealth


OPERATIONS: Operations = {
    ("get", "/inference/health"): Operation(
        tag="console",
        summary="How Qdrant, the ledger and the store are doing, and what to do",
        description=(
            "Any credential. For people; probes and alerts have `/healthz`, `/readyz` and the metrics. Sizes and "
            "versions are at most half a minute old."
        ),
        answer=HealthAnswer,
        means="The state of each part, and a list of what is wrong.",
        example=answered(
            {
                "qdrant": {"kind": "server", "ready": False, "trouble": "connection refused", "version": "1.18.3"},
                "ledger": LEDGER,
                "store": None,
                "problems": [
                    {
                        "about": "qdrant",
                        "what": "connection refused",
                        "to_do": "Look whether Qdrant runs, and whether QDRANT_URL leads there from this machine.",
                    }
                ],
            },
            0.001,
        ),
        refusals=REFUSED,
    )
}
