"""Where does the time of a request go? Read off the metrics of a running service."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deployments.metrics.instruments import PREFIX
from tests.support.running import RunningService

REPORT_S = 2
QUICK = {"RAY_metrics_report_interval_ms": str(REPORT_S * 1000)}
"""For a service that is to tell its metrics every two seconds instead of ten."""


class Spent(NamedTuple):
    """How often a stage was measured, and the seconds of all times together."""

    times: float
    seconds: float


def spent(running: RunningService, operation: str) -> Mapping[str, Spent]:
    """The stages of an operation (search, update) since the start of the service, all models together.

    Waits until a service that was started with `QUICK` has told all that is over now; difference of two calls: what
    was in between.
    """
    time.sleep(2.5 * REPORT_S)
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(running.metrics_address, timeout=30).text):
        for sample in family.samples:
            into = {
                f"ray_{PREFIX}stage_seconds_sum": sums,
                f"ray_{PREFIX}stage_seconds_count": counts,
            }.get(sample.name)
            if into is not None and sample.labels["operation"] == operation:
                stage = sample.labels["stage"]
                into[stage] = into.get(stage, 0.0) + sample.value
    return {stage: Spent(counts[stage], sums[stage]) for stage in sums}
