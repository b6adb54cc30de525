"""Which ports are taken, by whom, and what to do about it: asked before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import psutil

from deployments.errors import ConfigError

_STEP, _TRIES = 10, 20


Advice = Callable[[Sequence[str]], str]
"""Says what to do about ports that are taken, by what they are for."""


def check_free(ports: Mapping[str, tuple[str, int]], advice: Advice = lambda _: "") -> None:
    """Check that every port, given as host and number by what it is for, can be listened on.

    Raises:
        ConfigError: names, one a line, each port that is taken, what it is for, and the process that holds it.
    """
    taken = [purpose for purpose, address in ports.items() if not is_free(*address)]
    if taken:
        lines = [f"port {ports[one][1]} ({one}) is taken by {_holder(ports[one][1])}" for one in taken]
        raise ConfigError("\n".join(lines), advice(taken))


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


def free_pair(host: str, above: int) -> int:
    """A port that is free together with the next one: 10, 20, ... above another one; 10 above it if none is."""
    tried = [above + _STEP * times for times in range(1, _TRIES)]
    return next((port for port in tried if is_free(host, port) and is_free(host, port + 1)), tried[0])


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
