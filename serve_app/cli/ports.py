"""Which ports are taken, and by whom: asked before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import closing

import psutil

from deployments.errors import ConfigError


def check_free(ports: Mapping[str, tuple[str, int]]) -> None:
    """Check that every port, given as host and number by what it is for, can be listened on.

    Raises:
        ConfigError: names each port that is taken, what it is for, and the process that holds it.
    """
    taken = [
        f"port {port} ({purpose}) is taken by {_holder(port)}"
        for purpose, (host, port) in ports.items()
        if not is_free(host, port)
    ]
    if taken:
        raise ConfigError("; ".join(taken))


def is_free(host: str, port: int) -> bool:
    """Whether a port can be listened on; an empty host stands for all addresses."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return _described(connection.pid)
    return "a process of another user"


def _described(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"process {pid} ({' '.join(process.cmdline())[:100] or process.name()})"
    except psutil.Error:
        return f"process {pid}"
