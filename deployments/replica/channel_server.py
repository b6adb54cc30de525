"""A replica's end of the channel to callers on its machine."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from typing_extensions import override

from deployments import channel
from deployments.channel import Framed, Kind, packed, unpacked
from deployments.contract import Batch, Embeddings
from deployments.errors import InferenceError, InternalError
from deployments.metrics import export

log = logging.getLogger("ray.serve")

Embed = Callable[[Batch], Awaitable[Embeddings]]


class ChannelServer:
    """Takes calls at a socket, as many at a time as come."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._path: Path | None = None
        self._server: asyncio.AbstractServer | None = None
        self._callers: set[_Caller] = set()
        self._left = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Listen. Who sees the socket can connect.

        Raises:
            OSError: it cannot be made.
        """
        new = path.with_name(f".{path.name}")
        self._server = await asyncio.get_running_loop().create_unix_server(self._caller, new)
        self._path = new.rename(path)

    def _caller(self) -> _Caller:
        return _Caller(self._embed, self._callers, self._left)

    async def close(self, within_s: float) -> None:
        """Take no new callers, tell those that are there, and wait until they have what they asked for."""
        if self._server is None or self._path is None:
            return
        self._path.unlink(missing_ok=True)
        self._server.close()
        for caller in self._callers:
            caller.send(Kind.LEAVING, 0)
        try:
            while self._callers:
                self._left.clear()
                await asyncio.wait_for(self._left.wait(), within_s)
        except asyncio.TimeoutError:
            for caller in set(self._callers):
                caller.close()


class _Caller(Framed):
    """One connection."""

    def __init__(self, embed: Embed, callers: set[_Caller], left: asyncio.Event) -> None:
        super().__init__()
        self._embed = embed
        self._callers = callers
        self._left = left
        self._calls: dict[int, asyncio.Task[None]] = {}

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._callers.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._callers.discard(self)
        self._left.set()
        for call in self._calls.values():
            call.cancel()

    @override
    def received(self, kind: Kind, number: int, body: bytes) -> None:
        if kind is Kind.CALL:
            self._calls[number] = call = asyncio.get_running_loop().create_task(self._answer(number, body))
            call.add_done_callback(lambda _: self._calls.pop(number))
        elif kind is Kind.CANCEL and number in self._calls:
            self._calls[number].cancel()

    async def _answer(self, number: int, body: bytes) -> None:
        try:
            embeddings = await self._embed(unpacked(body))
        except InferenceError as error:
            self.send(Kind.ERROR, number, packed(error))
        except Exception as error:
            log.exception("a call failed")
            self.send(Kind.ERROR, number, packed(InternalError(f"{type(error).__name__}: {error}")))
        else:
            self.send(Kind.RESULT, number, packed(embeddings))


async def serve(embed: Embed) -> ChannelServer | None:
    """Take calls for the replica that this process is; None outside of Ray Serve, and if there is no place for it."""
    folder = channel.folder()
    if folder is None or not export.in_ray():
        return None
    import ray  # noqa: PLC0415  models can be run without Ray
    from ray import serve as ray_serve  # noqa: PLC0415

    replica = ray_serve.get_replica_context()
    cluster = ray.get_runtime_context().gcs_address
    prefix = channel.socket_prefix(cluster, replica.app_name, replica.deployment)
    server = ChannelServer(embed)
    try:
        await server.start(folder / f"{prefix}{os.getpid()}")
    except OSError as error:
        log.warning("no socket for callers on this machine, who will call through Ray Serve: %s", error)
        return None
    return server
