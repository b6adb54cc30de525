"""Which processes Ray starts on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def only_what_one_machine_needs() -> Iterator[None]:
    """Have `ray.init` start neither the autoscaler, which adds machines, nor what repeats other processes' logs.

    Each is a Python process that takes a second of a core to start, and polls. `ray start` has flags for it.
    """
    from ray._private import parameter as module  # noqa: PLC0415  takes seconds

    parameter: Any = module
    whole = parameter.RayParams
    parameter.RayParams = partial(whole, no_monitor=True, include_log_monitor=False)
    try:
        yield
    finally:
        parameter.RayParams = whole
