"""A service on two simulated nodes: `python -m tests.chaos.two_nodes --config FILE`. On SIGUSR1 it kills the second.

As `qdrant-inference up`, but that Ray has a second raylet on this machine, with workers of its own.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from serve_app.cli.launcher import Service
from serve_app.cli.up import interrupt_on_signals

_CPUS = 2


def main(config: Path) -> None:
    """Run until SIGTERM."""
    with Service(config) as service:  # sets the environment that Ray reads when it is imported
        import ray  # noqa: PLC0415

        nodes = _Nodes(ray.init)
        try:
            with mock.patch("ray.init", nodes.start):
                service.start(lambda _: None)
            interrupt_on_signals()
            signal.signal(signal.SIGUSR1, lambda *_: nodes.kill_second())
            sys.stdout.write(f"ready in some time\n  logs    {service.logs}\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            service.stop()
        finally:
            nodes.shutdown()


class _Nodes:
    """What `ray.init` starts, and a second node beside it."""

    def __init__(self, init: Callable[..., Any]) -> None:
        self._init = init
        self._cluster: Any = None
        self._second: Any = None

    def start(self, **options: Any) -> Any:
        """In place of `ray.init`."""
        from ray.cluster_utils import Cluster  # noqa: PLC0415

        # Ray looks for its node by the folder that the options name.
        head = {"num_cpus": _CPUS, "include_dashboard": False, "temp_dir": options["_temp_dir"]}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(num_cpus=_CPUS)
        return self._init(**{**options, "address": self._cluster.address})

    def kill_second(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def shutdown(self) -> None:
        import ray  # noqa: PLC0415

        ray.shutdown()  # after a start that failed; the cluster ends no node that this process uses
        if self._cluster is not None:
            self._cluster.shutdown()


main(Path(sys.argv[2]))
