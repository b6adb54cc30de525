"""A thread that hands the metrics of this process to Ray's exporter.

Ray's agent on every node collects them and answers `GET /metrics` for Prometheus, each name with `ray_` before it. All
of them travel as Ray's gauges, cumulative if they are counters and histograms. Ray's own histograms would cost
microseconds for each value, here and once more in the agent, and have a sum that is only estimated from the buckets;
and what Ray's counters have counted stays in the agent's memory when the process is long gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import ray
from ray.util.metrics import Gauge

from deployments.metrics.instruments import METRICS

_SHORTEST_S = 0.5


class Exporter:
    """Exports until it is closed. `measure` is called before each time, to set gauges."""

    def __init__(self, measure: Callable[[], object]) -> None:
        self._measure = measure
        self._gauges: dict[str, Gauge] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _run(self) -> None:
        # Ray sends what it was given once in each of its own periods: half of that is often enough.
        period = max(_SHORTEST_S, ray._config.metrics_report_interval_ms() / 2000)  # noqa: SLF001  told nowhere else
        while not self._closed.wait(period):
            self._export()

    def _export(self) -> None:
        self._measure()
        for metric in METRICS:
            for name, labels in metric.exported:
                if name not in self._gauges:
                    self._gauges[name] = Gauge(name, f"{metric.about} ({metric.unit})", labels)
            for sample in metric.samples():
                self._gauges[sample.name].set(sample.value, sample.labels)
            time.sleep(0)  # the thread that serves requests comes first
