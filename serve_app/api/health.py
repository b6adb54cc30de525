"""Whether this gateway lives and is ready, in the sense of Kubernetes, and in the words of Qdrant's server.

Alive: the process answers. Ready: Qdrant, or the embedded store, could be reached a moment ago. A model that is not
there takes nothing out of rotation: one may be scaled to zero until somebody asks for it, and requests for a model that
failed are answered with 503 and Retry-After, while all others pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from deployments.errors import InferenceError
from serve_app.observability.metrics import UPSTREAM_UP
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Request, Response
from serve_app.upstream.base import Upstream

_PATIENCE_S = 2.0
_ALIVE = frozenset({"/healthz", "/livez"})
_READY = "/readyz"

States = Callable[[], Awaitable[Mapping[str, str]]]
"""Tells the state of each model in a word: `ready`, or another one."""


class Health:
    """Answers probes by what Qdrant said when it was asked last, so that a probe costs nothing."""

    def __init__(self, upstream: Upstream, states: States) -> None:
        self._upstream = upstream
        self._states = states
        self._trouble = "not asked yet"

    @property
    def trouble(self) -> str:
        """What was wrong with Qdrant when it was asked last; nothing if nothing was."""
        return self._trouble

    async def check(self) -> None:
        """Ask Qdrant."""
        limit = TimeLimit(time.monotonic() + _PATIENCE_S, _PATIENCE_S)
        try:
            asking = self._upstream.rest(Request("GET", "/healthz", "", [], b"", time=limit))
            answer = await asyncio.wait_for(asking, _PATIENCE_S)
            healthy = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
            self._trouble = "" if healthy else f"answers with status {int(answer.status)}"
        except InferenceError as error:
            self._trouble = error.message
        except asyncio.TimeoutError:
            self._trouble = f"does not answer within {_PATIENCE_S:g} s"
        UPSTREAM_UP.set(not self._trouble)

    def is_probe(self, method: str, path: str) -> bool:
        """Whether somebody asks how this gateway is."""
        return method in {"GET", "HEAD"} and path in {*_ALIVE, _READY}

    async def answer(self, request: Request) -> Response:
        """The answer to a probe."""
        if request.path in _ALIVE:
            return _text(HTTPStatus.OK, "healthz check passed")
        return await self._readiness(verbose="verbose" in request.query.split("&"))

    async def _readiness(self, *, verbose: bool) -> Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE if self._trouble else HTTPStatus.OK
        lines = ["some shards are not ready" if self._trouble else "all shards are ready"]
        if verbose:
            models = [f"{_sign(state == 'ready')} {name}: {state}" for name, state in (await self._states()).items()]
            lines = [f"{_sign(not self._trouble)} qdrant: {self._trouble or 'ready'}", *models, *lines]
        return _text(status, "\n".join(lines))


def _sign(good: bool) -> str:  # noqa: FBT001
    return "[+]" if good else "[-]"


def _text(status: HTTPStatus, text: str) -> Response:
    return Response(status, [(b"content-type", b"text/plain; charset=utf-8")], text.encode())
