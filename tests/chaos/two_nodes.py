"""A service on two simulated nodes: `python -m tests.chaos.two_nodes --config FILE`. On SIGUSR1 it kills the second.

As `qdrant-inference up`, but that Ray has a second raylet on this machine, with workers of its own.
"""

from __future__ import annotations

import signal
import sys
import threading
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
        from ray.cluster_utils import Cluster  # noqa: PLC0415

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": _CPUS, "include_dashboard": False})
        second = cluster.add_node(num_cpus=_CPUS)
        init = ray.init
        try:
            with mock.patch("ray.init", lambda **kw: init(**{**kw, "address": cluster.address})):
                service.start(lambda _: None)
            interrupt_on_signals()
            signal.signal(signal.SIGUSR1, lambda *_: _kill(cluster, second))
            sys.stdout.write(f"ready in some time\n  logs    {service.logs}\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            service.stop()
        finally:
            cluster.shutdown()  # type: ignore[no-untyped-call]


def _kill(cluster: Any, node: Any) -> None:
    cluster.remove_node(node, allow_graceful=False)


main(Path(sys.argv[2]))
