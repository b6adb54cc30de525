"""Which sockets listen where: the list of those that may listen beyond this machine, and a look at those that do."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import psutil

from serve_app.front.haproxy import SECRET


class Listening(NamedTuple):
    """A socket that others can send to."""

    host: str
    port: int
    kind: str
    process: str

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return is_local(self.host)


def is_local(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`: a name or an address."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def unexpected(found: Iterable[Listening], public: Collection[int]) -> list[Listening]:
    """The sockets that are open to other machines, but for TCP at the ports in `public`."""
    return [one for one in found if not one.is_local and (one.kind, one.port) not in {("tcp", p) for p in public}]


def of_this_run(secret: str) -> Iterator[Listening]:
    """All sockets of the processes that were started with this secret, wherever they listen."""
    for process in processes_of_this_run(secret):
        with suppress(psutil.Error):  # it has ended
            yield from of_process(process)


def processes_of_this_run(secret: str) -> Iterator[psutil.Process]:
    """All processes that were started with this secret (see `haproxy.SECRET`), by whomever, and are not yet reaped."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, PermissionError, ProcessLookupError):  # it has ended, or is another user's
            if f"{SECRET}={secret}" in _environment(process):
                yield process


def _environment(process: psutil.Process) -> Sequence[str]:
    """The variables with which a process was started.

    Ray's processes write their titles over the first of them; psutil looks no further than there.
    """
    try:
        return Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except FileNotFoundError:  # it has ended, or the system has no such files
        return [f"{name}={value}" for name, value in process.environ().items()]


def of_process(process: psutil.Process) -> Iterator[Listening]:
    """The sockets of one process."""
    name = f"process {process.pid} ({' '.join(process.cmdline())[:60] or process.name()})"
    for connection in process.net_connections("inet"):
        if connection.type == socket.SOCK_DGRAM and not connection.raddr and connection.laddr:
            yield Listening(*connection.laddr, "udp", name)
        elif connection.status == psutil.CONN_LISTEN:
            yield Listening(*connection.laddr, "tcp", name)
