"""A replica as Ray Serve runs it: takes calls over Serve's handles, and over a socket from callers on its machine."""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.replica import channel_server
from deployments.replica.channel_server import ChannelServer
from deployments.replica.replica import ModelReplica

_DRAINING_S = 15.0
"""Less than the 20 s after which Serve ends a replica that it has told to stop."""


class ServedReplica(ModelReplica):
    """Serves once `reconfigure` has loaded the model."""

    def __init__(self, card: ModelCard, folder: str | None) -> None:
        super().__init__(card, folder)
        self._channel: ChannelServer | None = None

    @override
    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        await super().reconfigure(user_config)
        if self._channel is None:
            self._channel = await channel_server.serve(self.embed)

    async def __del__(self) -> None:  # type: ignore[override]
        """Serve calls this when it stops a replica, and awaits it."""
        if self._channel:
            await self._channel.close(_DRAINING_S)
        self.close()
