"""The embedded store, which is found anew when it has moved: a replica that replaces another has ports of its own."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from grpc import StatusCode
from typing_extensions import override

from deployments.errors import DeadlineExceeded, UpstreamUnavailable
from serve_app.embedded.address import KEY_HEADER, Address
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Call, Reply, Request, Response, without
from serve_app.upstream.base import NotReached, Upstream, UpstreamStatus
from serve_app.upstream.remote import RemoteQdrant

T = TypeVar("T")
_KEY = KEY_HEADER.encode()


@dataclass(frozen=True)
class _Found:
    qdrant: RemoteQdrant
    key: str

    async def rest(self, request: Request) -> Response:
        headers = [*without(request.headers, frozenset({_KEY})), (_KEY, self.key.encode())]
        return await self.qdrant.rest(request._replace(headers=headers))

    async def grpc(self, message: bytes, call: Call) -> Reply:
        metadata = [*(pair for pair in call.metadata if pair[0] != KEY_HEADER), (KEY_HEADER, self.key)]
        try:
            return await self.qdrant.grpc(message, call._replace(metadata=metadata))
        except UpstreamStatus as status:
            if status.code is StatusCode.UNAVAILABLE:  # so says another store, and one that stops
                raise UpstreamUnavailable("Qdrant cannot be reached") from status
            raise


class EmbeddedQdrant(Upstream):
    """The store whose address `locate` tells."""

    def __init__(self, locate: Callable[[], Awaitable[Address]]) -> None:
        self._locate = locate
        self._found: _Found | None = None
        self._finding: asyncio.Task[_Found] | None = None

    @override
    async def rest(self, request: Request) -> Response:
        return await self._ask(lambda found: found.rest(request), request.time)

    @override
    async def grpc(self, message: bytes, call: Call) -> Reply:
        return await self._ask(lambda found: found.grpc(message, call), call.time)

    async def _ask(self, send: Callable[[_Found], Awaitable[T]], limit: TimeLimit) -> T:
        """What the store answers; a request of which it has seen nothing follows it to where it is now."""
        found = self._found or await self._find_within(limit, None)
        try:
            return await send(found)
        except NotReached:
            return await send(await self._find_within(limit, found))
        except UpstreamUnavailable:
            await self._forget(found)
            raise

    async def _find_within(self, limit: TimeLimit, lost: _Found | None) -> _Found:
        """The store where it is now, which is not where it was `lost`.

        All who wait for it wait for one question, which goes on if they give up: a call of Ray Serve's is not to be
        cancelled again and again while a replica comes.
        """
        if self._found is not None and self._found is not lost:
            return self._found
        if self._finding is None:
            # In no request's context: if its caller hangs up, Serve cancels all calls that were made in it.
            self._finding = contextvars.Context().run(asyncio.create_task, self._find(lost))
            self._finding.add_done_callback(self._has_looked)
        finding = self._finding
        done, _ = await asyncio.wait([finding], timeout=limit.left_s if limit.left_s < math.inf else None)
        if not done:
            raise DeadlineExceeded("the embedded store did not start in the time for the request")
        return finding.result()

    async def _find(self, lost: _Found | None) -> _Found:
        await self._forget(lost)
        address = await self._locate()
        rest, grpc = (f"http://{address.host}:{port}" for port in (address.rest_port, address.grpc_port))
        self._found = _Found(RemoteQdrant([rest], [grpc]), address.key)
        return self._found

    def _has_looked(self, task: asyncio.Task[_Found]) -> None:
        self._finding = None
        if not task.cancelled():
            task.exception()  # who waited for it has it; nobody else need hear of it

    async def _forget(self, lost: _Found | None) -> None:
        if lost is not None and self._found is lost:
            self._found = None
            await lost.qdrant.close()

    @override
    async def close(self) -> None:
        if self._finding:
            self._finding.cancel()
        await self._forget(self._found)
