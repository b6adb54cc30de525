"""The replicas on the caller's own machine, which it calls over their sockets; see `deployments.channel`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from deployments.channel import Framed, Kind, packed, socket_prefix, unpacked
from deployments.contract import Batch, Embeddings

log = logging.getLogger("ray.serve")

_LOOK_S = 1.0
"""Between two looks for new replicas, while there are calls."""

_COUNT_S = 10.0
"""Between two looks how many machines there are."""

_MOST_ALONE = 16
"""Calls of a replica at a time: `max_ongoing_requests`. What is more waits in Ray Serve's own queue, which scales."""

_MOST_OF_MANY = 1
"""The same if there are other machines: more is for Ray Serve to share out among all replicas."""


class ReplicaGoneError(Exception):
    """The replica's process ended during a call."""


class Near:
    """The replicas of one deployment."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._connections: dict[str, _Connection] = {}

    @property
    def known(self) -> Sequence[str]:
        """The names of the sockets that are connected."""
        return list(self._connections)

    def best(self) -> _Connection | None:
        """The replica with the least to do; None if there is none here that should get more."""
        self._machine.look()
        free = (one for one in self._connections.values() if one.calls < self._machine.most)
        return min(free, key=lambda one: one.load, default=None)

    async def connect(self, path: Path) -> None:
        """Connect to a replica that has come; a socket that a killed one has left is removed."""
        if path.name in self._connections:
            return
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(
                lambda: _Connection(lambda: self._connections.pop(path.name, None)), str(path)
            )
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # noqa: ASYNC240  microseconds
        except OSError:
            return  # it has gone meanwhile, or has too much to do to take callers
        else:
            self._connections[path.name] = connection

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._connections.values()):
            connection.close()


class Machine:
    """All deployments whose replicas may be on this machine."""

    def __init__(self, folder: Path | None, cluster: str, count_nodes: Callable[[], int]) -> None:
        """`folder` is that of the sockets, if there is one, `cluster` Ray's address; `count_nodes` may block."""
        self._folder = folder
        self._cluster = cluster
        self._count_nodes = count_nodes
        self._deployments: dict[str, Near] = {}
        self._looked = self._counted = -float("inf")
        self._looking: asyncio.Task[None] | None = None
        self.most = _MOST_OF_MANY

    def near(self, application: str, deployment: str) -> Near:
        """The replicas of a deployment."""
        return self._deployments.setdefault(socket_prefix(self._cluster, application, deployment), Near(self))

    def look(self) -> None:
        """Look for replicas that have come, if that was some time ago, in a task of its own."""
        if self._folder is None or time.monotonic() - self._looked < _LOOK_S or self._looking:
            return
        self._looked = time.monotonic()
        self._looking = asyncio.get_running_loop().create_task(self._look(self._folder))
        self._looking.add_done_callback(self._has_looked)

    def _has_looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled() and (error := task.exception()):
            log.warning("no look at the replicas on this machine: %s", error)

    async def _look(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):  # noqa: ASYNC240  microseconds
            prefix, dash, _ = path.name.partition("-")
            if near := self._deployments.get(prefix + dash):
                await near.connect(path)
        if time.monotonic() - self._counted >= _COUNT_S:
            self._counted = time.monotonic()
            self.most = _MOST_ALONE if await asyncio.to_thread(self._count_nodes) == 1 else _MOST_OF_MANY

    def close(self) -> None:
        """Close all connections."""
        if self._looking:
            self._looking.cancel()
        for near in self._deployments.values():
            near.close()


class _Connection(Framed):
    """The way to one replica."""

    def __init__(self, gone: Callable[[], object]) -> None:
        super().__init__()
        self._gone = gone
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._leaving = False
        self.load = 0
        """What the inputs of all calls under way weigh, roughly: characters, or rows of pixels."""

    @property
    def calls(self) -> int:
        return len(self._waiting)

    async def embed(self, batch: Batch) -> Embeddings:
        """The embeddings of a batch.

        Raises:
            InferenceError: the replica's own.
            ReplicaGoneError: its process has ended.
        """
        self._number = number = self._number + 1
        weight = sum(map(len, batch.inputs)) + 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.load += weight
        self.send(Kind.CALL, number, packed(batch))
        try:
            embeddings: Embeddings = unpacked(await answer)
        except asyncio.CancelledError:
            self.send(Kind.CANCEL, number)
            raise
        else:
            return embeddings
        finally:
            self._waiting.pop(number, None)
            self.load -= weight
            self._leave()

    @override
    def received(self, kind: Kind, number: int, body: bytes) -> None:
        if kind is Kind.LEAVING:
            self._leaving = True
            self._gone()
            self._leave()
        elif (answer := self._waiting.get(number)) and not answer.done():
            if kind is Kind.RESULT:
                answer.set_result(body)
            else:
                answer.set_exception(unpacked(body))

    def _leave(self) -> None:
        if self._leaving and not self._waiting:
            self.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ReplicaGoneError())
