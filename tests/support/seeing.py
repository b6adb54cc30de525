"""A gateway whose watch is on, and what its counters have counted meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qdrant_client import grpc as q

from deployments.metrics.instruments import METRICS, PREFIX
from serve_app.api.health import Health
from serve_app.observability.record import Watch
from serve_app.upstream.measured import MeasuredUpstream
from tests.support.gateway import Gateway


class Seen(Gateway):
    """A gateway with a measured way to the fake Qdrant."""

    def __init__(self, watch: Watch | None = None, health: Health | None = None, **options: Any) -> None:
        super().__init__(upstream=MeasuredUpstream, watch=watch, health=health, **options)


def totals() -> dict[str, float]:
    """All values but buckets and sums of times, by `name{label values}`."""
    return {
        f"{sample.name.removeprefix(PREFIX)}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in METRICS
        for sample in metric.samples()
        if not sample.name.endswith(("_bucket", "_seconds_sum"))
    }


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """What was added inside of the context."""
    before = totals()
    added: dict[str, float] = {}
    yield added
    added.update(
        {name: value - before.get(name, 0) for name, value in totals().items() if value != before.get(name, 0)}
    )


DOCUMENT = q.Document(text="tea", model="org/dense")


def query() -> q.QueryPoints:
    return q.QueryPoints(collection_name="c", query=q.Query(nearest=q.VectorInput(document=DOCUMENT)))
