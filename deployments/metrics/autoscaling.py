"""What autoscaling policies want, in our metrics. Serve's controller tells it: there the policies run.

A module of its own: Ray hands the controller a policy's module by value, with copies of gauges that nobody exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from deployments.metrics import export
from deployments.metrics.instruments import Gauge

WANTED = Gauge(
    "replicas_wanted", ("deployment",), "replicas", "That a policy asks for at the moment, before delays and bounds"
)
MAXIMUM = Gauge("replicas_maximum", ("deployment",), "replicas", "`max_replicas` of the deployment")


def tell(deployment: str, wanted: float, maximum: int) -> None:
    """Have it told. Ray's own gauge of this says at nearly all times what the bounds have made of it."""
    _export()
    WANTED.set(math.ceil(wanted), deployment)
    MAXIMUM.set(maximum, deployment)


@lru_cache
def _export() -> Callable[[], None]:
    """Once in a process; it goes on for as long as the process lives."""
    return export.start(lambda: None)
