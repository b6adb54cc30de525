"""What Ray, Ray Serve and HAProxy find in the environment. They read it when `ray` is imported, so it is set before."""

from __future__ import annotations

import os
from pathlib import Path

SUPPORTED = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
"""The only supported way to run: without these, Ray Serve is many times slower and serves no gRPC to us."""

_ONE_MACHINE = {
    # HAProxy runs beside the replicas here and learns of a change at once; the default of 30 s is for load
    # balancers elsewhere, and would hold up every stop by as much.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "20",
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray says on the console of every orderly stop: that the controller's own calls were cut off.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "killed by `ray.kill`",
}


def set_ray_environment(folder: Path) -> None:
    """Set what Ray Serve has to find; `folder` is for HAProxy's files. Variables that are set already are kept."""
    haproxy = {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    }
    files = {name: str(folder / file) for name, file in haproxy.items()}
    os.environ.update({**_ONE_MACHINE, **os.environ, **SUPPORTED, **files})
