"""Which collection an alias stands for. The gateway asks only while a collection is switched off."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

import orjson
from pydantic import SecretStr

from serve_app.ledger.switchboard import Switchboard
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Headers, Request, read
from serve_app.upstream.base import Upstream

_PATIENCE_S = 2.0

log = logging.getLogger("ray.serve")


class Aliases:
    """Keeps the switchboard's aliases up to date, as far as it needs them."""

    def __init__(self, upstream: Upstream, switchboard: Switchboard, key: SecretStr | None) -> None:
        """`key` is the service's own: callers' keys may not show all aliases."""
        self._upstream = upstream
        self._switchboard = switchboard
        self._headers: Headers = [(b"api-key", key.get_secret_value().encode())] if key else []
        self._refused = False

    async def look(self) -> None:
        """Ask Qdrant if a collection is off; if it refuses to say, what was known last stays.

        Raises:
            InferenceError: Qdrant is away.
        """
        if not self._switchboard.switches.collections:
            return
        limit = TimeLimit(time.monotonic() + _PATIENCE_S, _PATIENCE_S)
        answer = await self._upstream.rest(Request("GET", "/aliases", "", self._headers, b"", time=limit))
        body = await read(answer.body)
        refused = answer.status != HTTPStatus.OK
        if refused and not self._refused:
            log.warning(
                "Qdrant does not tell its aliases (%d): by an alias, a collection can be reached that is switched off",
                answer.status,
            )
        if not refused:
            aliases = orjson.loads(body or b"")["result"]["aliases"]
            self._switchboard.name({one["alias_name"]: one["collection_name"] for one in aliases})
        self._refused = refused
