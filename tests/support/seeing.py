"""A gateway whose watch is on, and what its counters have counted meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from deployments.metrics.instruments import METRICS, PREFIX
from serve_app.api.grpc import GrpcApi
from serve_app.api.health import Health
from serve_app.api.rest import HttpApi
from serve_app.observability.record import Watch
from serve_app.upstream.measured import MeasuredUpstream
from tests.support.gateway import Gateway


class Seen(Gateway):
    """Both doors under one watch, with a measured way to the fake Qdrant."""

    def __init__(self, watch: Watch | None = None, health: Health | None = None) -> None:
        super().__init__()
        self.pipeline._upstream = MeasuredUpstream(self.qdrant)
        transport = httpx.ASGITransport(HttpApi(self.pipeline, watch=watch, health=health))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
        self.grpc = GrpcApi(self.pipeline, watch=watch)


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
