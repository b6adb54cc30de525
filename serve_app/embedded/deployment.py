"""The embedded store as a Serve deployment, of which there is one replica: a folder has one writer."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from serve_app.embedded.address import Address
from serve_app.embedded.server import Server
from serve_app.embedded.size import StoreSize, measure
from serve_app.embedded.store import EmbeddedStore
from serve_app.protocol.offload import take_short_turns


class Store:
    """Answers for Qdrant on ports of its own, because a call through Serve would copy each body several times."""

    def __init__(self, folder: str, host: str = "") -> None:
        """`host` is the address to listen at, by default that of the Ray node."""
        take_short_turns()
        self._key = secrets.token_urlsafe()
        self._server = Server(EmbeddedStore(folder), self._key)
        self._folder = Path(folder)
        self._host = host or _node()
        self._ports: asyncio.Task[tuple[int, int]] | None = None

    async def address(self) -> Address:
        """Open the ports, where they are not, and tell them."""
        if self._ports is None:
            self._ports = asyncio.create_task(self._server.start(self._host, 0, 0))
        return Address(self._host, *await self._ports, self._key)

    async def size(self) -> StoreSize:
        """How much of the disk it takes."""
        return await asyncio.to_thread(measure, self._folder)

    def __del__(self) -> None:
        """Serve calls this when it stops the replica; the ports end with its process."""
        self._server.close()


def _node() -> str:
    from ray.util import get_node_ip_address  # noqa: PLC0415  a store on a host that is given takes no Ray

    return str(get_node_ip_address())  # type: ignore[no-untyped-call]
