"""A service on nodes that are made up and come and go: `python -m benchmarks.simulation.cluster --config FILE`.

As `qdrant-inference up`, but that Ray runs its real autoscaler with a provider of nodes that are processes of this
machine: a head without replicas, nodes with CPUs, nodes with one GPU. SAMPLES names the file to which it writes what
there is, every two seconds.

This is what `ray.cluster_utils.AutoscalingCluster` does, without its `ray stop --force`, which would end every other
Ray on this machine, and with a configuration of our own in place of the one that Ray's wheel lacks.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import other_application
from serve_app.cli.launcher import Service
from serve_app.cli.up import interrupt_on_signals
from tests.support.running import free_ports

_NODES: dict[str, Any] = {
    "cpu": {"resources": {"CPU": 2, "object_store_memory": 2**27}, "min_workers": 1, "max_workers": 2},
    "gpu": {"resources": {"CPU": 0, "GPU": 1, "object_store_memory": 2**27}, "min_workers": 0, "max_workers": 6},
}
_IDLE_MINUTES = 0.1
_SAMPLE_S = 2.0
_LISTS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")


def main(config: Path, samples: Path) -> None:
    """Run until SIGTERM."""
    # The service sets the environment that Ray reads when it is imported.
    with other_application.taken(), Service(config) as service:
        import ray  # noqa: PLC0415

        head = _Head(ray.init, samples.parent)
        try:
            with mock.patch("ray.init", head.start):
                service.start(lambda _: None)
            interrupt_on_signals()
            threading.Thread(target=_sample, args=(samples,), daemon=True).start()
            sys.stdout.write(f"ready in some time\n  logs    {service.logs}\n")
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
        finally:
            service.stop()
            head.shutdown()


class _Head:
    """The node that `ray.init` would start, with the autoscaler."""

    def __init__(self, init: Callable[..., Any], folder: Path) -> None:
        self._init = init
        self._folder = folder
        self._cluster: Any = None

    def start(self, **options: Any) -> Any:
        """In place of `ray.init`, which looks for its node by the folder that the options name."""
        self._cluster = _start_head(self._folder, options["_temp_dir"])
        return self._init(**{**options, "address": self._cluster.address})

    def shutdown(self) -> None:
        """End all nodes."""
        if self._cluster is not None:
            self._cluster.shutdown()


def _start_head(folder: Path, temporary: str) -> Any:
    from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID  # noqa: PLC0415
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    (port,) = free_ports(1)
    os.environ.update(
        {
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
        }
    )
    file = folder / "autoscaling.json"
    file.write_text(json.dumps(_autoscaling_config(f"{_address()}:{port}", FAKE_HEAD_NODE_ID)))
    head = {
        "num_cpus": 0,
        "include_dashboard": False,
        "gcs_server_port": port,
        "autoscaling_config": str(file),
        "temp_dir": temporary,
    }
    return Cluster(initialize_head=True, head_node_args=head)


def _address() -> str:
    from ray.util import get_node_ip_address  # noqa: PLC0415

    return str(get_node_ip_address())  # type: ignore[no-untyped-call]


def _autoscaling_config(gcs_address: str, head: str) -> dict[str, Any]:
    return {
        "cluster_name": "simulation",
        "max_workers": 8,
        "idle_timeout_minutes": _IDLE_MINUTES,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "head_node_id": head,
            "launch_multiple": True,
            "disable_node_updaters": True,
            "gcs_address": gcs_address,
        },
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        **{f"{name}_commands": [] for name in _LISTS},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            **{name: {"node_config": {}, **node} for name, node in _NODES.items()},
        },
    }


def _sample(file: Path) -> None:
    """Write every two seconds how many nodes of each kind there are, and each deployment's replicas by their state."""
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    with file.open("w") as output:
        while True:
            now = time.time()
            there: Any = ray.nodes()  # type: ignore[no-untyped-call]
            nodes = Counter("gpu" if node["Resources"].get("GPU") else "cpu" for node in there if _works(node))
            deployments = serve.status().applications["inference"].deployments
            replicas = {name: deployment.replica_states for name, deployment in deployments.items()}
            output.write(json.dumps({"time": now, "nodes": nodes, "replicas": replicas}) + "\n")
            output.flush()
            time.sleep(max(0.0, now + _SAMPLE_S - time.time()))


def _works(node: Any) -> bool:
    return bool(node["Alive"] and (node["Resources"].get("GPU") or node["Resources"].get("CPU")))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(Path(sys.argv[2]), Path(os.environ["SAMPLES"]))
