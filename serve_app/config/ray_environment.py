"""What Ray, Ray Serve and HAProxy find in the environment. They read it when `ray` is imported, so it is set before."""

from __future__ import annotations

import os
import resource
import secrets
import shlex
import sys
from pathlib import Path

from deployments import channel
from serve_app.front import guard, haproxy

SUPPORTED = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
"""The only supported way to run: without these, Ray Serve is many times slower and serves no gRPC to us."""

MESSAGES = {"RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": "268435456", "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": "268435456"}
"""The largest message between deployments, and to the service; Ray's own limits are 4 MiB and 2 GiB.

They stand here and not in a `runtime_env` of the application: with one, Python starts twice for each worker (half a
second of a core), and Ray starts none ahead.
"""


def _connections() -> int:
    """How many connections HAProxy keeps: each may take two and a half of the files that a process may open."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 16_000 if allowed == resource.RLIM_INFINITY else max(200, min(16_000, allowed * 2 // 5 - 100))


_ONE_MACHINE = {
    # HAProxy runs beside the replicas here and learns of a change at once; the default of 30 s is for load
    # balancers elsewhere, and would hold up every stop by as much.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "20",
    # A busy machine takes longer than Ray Serve's 5 s until HAProxy runs, and would begin all over.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30",
    "RAY_SERVE_HAPROXY_MAXCONN": str(_connections()),
    # The controller looks at everything each time, which takes 10 ms; by default ten times a second.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    # Else a process of Ray Serve's reads a line of HAProxy's log about each request, which takes it longer than HAProxy
    # takes for the request; replicas count the same.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_AUTH_MODE": "token",
    # By its name for other systems, where Ray listens on the loopback address alone; so it does here, then.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # What Ray says on the console of every orderly stop: that the controller's own calls were cut off.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "killed by `ray.kill`",
}


def set_ray_environment(folder: Path) -> None:
    """Set what Ray, Ray Serve and HAProxy have to find. Variables that are set already are kept.

    `folder` is for their files; nobody else may read it.
    """
    names = {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    }
    files = {name: str(folder / file) for name, file in names.items()}
    (folder / "sockets").mkdir(mode=0o700)
    sockets = {channel.VARIABLE: str(folder / "sockets")}
    own = {**SUPPORTED, **files, **sockets, **_token(folder / "token"), **_front(folder / "haproxy")}
    # To nowhere, unless somebody wants it: by UDP to a syslog it would take a port that is open to all.
    log = {"RAY_SERVE_HAPROXY_LOG_TARGET": str(folder / "log.sock")}
    os.environ.update({**_ONE_MACHINE, **MESSAGES, **log, **os.environ, **own})


def _token(file: Path) -> dict[str, str]:
    """A token of this run's own, without which no process of Ray's talks to another; one that is given counts more."""
    file.write_text(secrets.token_hex(32))
    file.chmod(0o600)
    return {"RAY_AUTH_TOKEN_PATH": str(file)}


def _front(file: Path) -> dict[str, str]:
    """HAProxy with stricter settings, and a secret of this run's own that it shows to the replicas."""
    file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I {shlex.quote(haproxy.__file__)} "$@"\n')
    file.chmod(0o700)
    return {
        haproxy.BINARY: os.environ.get(haproxy.BINARY, os.environ.get(haproxy.RAYS_BINARY, "")),
        haproxy.RAYS_BINARY: str(file),
        **guard.HOOKS,
        haproxy.HOST: "127.0.0.1",
        haproxy.SECRET: secrets.token_urlsafe(32),
    }
