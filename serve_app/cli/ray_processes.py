"""Which processes Ray starts on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def only_what_one_machine_needs() -> Iterator[None]:
    """Have `ray.init` start neither the autoscaler, which adds machines, nor what repeats other processes' logs.

    Nor the server of Ray's dashboard, which without its pages only reports how Ray is used; `ray.init` waits for it.
    Each is a Python process that takes a second of a core to start, and polls. `ray start` has flags for the others.
    """
    from ray._private import node, parameter  # noqa: PLC0415  takes seconds

    module: Any = parameter
    of_node: Any = node.Node
    whole, server = module.RayParams, of_node.start_api_server
    module.RayParams = partial(whole, no_monitor=True, include_log_monitor=False)
    of_node.start_api_server = lambda *_, **__: None
    try:
        yield
    finally:
        module.RayParams, of_node.start_api_server = whole, server
