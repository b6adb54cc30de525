"""Whether the metrics of this process go to Ray's exporter: they do if it is a process of a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable


def in_ray() -> bool:
    """Whether this is a process of a Ray cluster."""
    return "ray" in sys.modules and bool(sys.modules["ray"].is_initialized())


def start(measure: Callable[[], object]) -> Callable[[], None]:
    """Hand all metrics to Ray's exporter from now on, if there is one; a call of what is returned ends that.

    `measure` is called before each time, in a thread of its own, to set gauges.
    """
    if not in_ray():
        return lambda: None
    from deployments.metrics.ray_exporter import Exporter  # noqa: PLC0415  models can be run without Ray

    return Exporter(measure).close
