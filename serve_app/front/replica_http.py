"""HTTP requests answered in an ingress replica without Ray Serve's own handling of each; see `grpc_calls` for gRPC.

Of a request Ray Serve makes three tasks, a queue, two middlewares, and a line for the log. What matters of it stays:
the replica's limits and counts (`front.ray_replica`), `request_timeout_s`, `keep_alive_timeout_s`, and its own paths.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from deployments.errors import Overloaded
from serve_app.front.grpc_calls import GrpcCalls
from serve_app.front.guarded_calls import Callers
from serve_app.front.haproxy import PROTOCOL, RAYS_PAGES
from serve_app.front.http_exchange import App, Message, Scope
from serve_app.front.http_server import HttpServer
from serve_app.front.ray_replica import OngoingRequests, asgi_app, deployed, replica_of
from serve_app.protocol.error_responses import http_error

_PROTOCOL = PROTOCOL.encode()
_SERVICES = ("/qdrant.", "/grpc.health.")


class CountedApp:
    """A replica's app, each of whose requests Ray Serve is told of."""

    def __init__(self, app: App, rays: App, calls: App | None, requests: OngoingRequests) -> None:
        """`rays` answers `RAYS_PAGES`, `calls` what is one of gRPC."""
        self._app = app
        self._rays = rays
        self._calls = calls
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        path = scope["path"]
        if path in RAYS_PAGES:
            await self._rays(scope, receive, send)
        elif path.startswith(_SERVICES) and self._calls and is_call(scope):
            await self._calls(scope, receive, send)
        elif self._requests.are_too_many:
            status, headers, body = http_error(Overloaded("too many requests wait for this replica"))
            await send({"type": "http.response.start", "status": int(status), "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Any, send: Any) -> None:
        came_in = await self._requests.begin()
        status, broken_off = "", True

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(int(message["status"]))
            await send(message)

        try:
            await self._app(scope, receive, sent)
            broken_off = False
        finally:
            self._requests.end(came_in, scope["method"], status, is_error=broken_off)


class WithoutCalls:
    """The app of Ray Serve's own proxy, to which HAProxy turns with a call if the last replica has just ended.

    503 is UNAVAILABLE to who calls.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and is_call(scope):
            await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def is_call(scope: Scope) -> bool:
    """Whether a request is a call of gRPC's."""
    return any(name == _PROTOCOL for name, _ in scope["headers"])


def direct_app(rays: Any, callers: Callers | None) -> App | None:
    """The app of the replica whose way in `rays` is, as Ray Serve gives it to a server; None if it has none here.

    `callers` looks at who calls over gRPC.
    """
    replica = replica_of(rays)
    deployment: Any = deployed(replica) if replica else None
    app = asgi_app(deployment)
    if not app:
        return None
    calls = GrpcCalls(deployment, callers, replica) if hasattr(deployment, "answer_call") else None
    return CountedApp(app, rays, calls, OngoingRequests(replica, "HTTP"))


async def start_server(
    app: App, options: Any, event_loop: asyncio.AbstractEventLoop
) -> tuple[asyncio.Task[None], HttpServer]:
    """Start an app's server, as Ray Serve's `start_asgi_http_server` does: `options` are its own.

    Raises:
        RuntimeError: the port is taken; its cause is the OSError.
    """
    for middleware in options.middlewares:
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    by_ipv6 = ":" in options.host
    try:
        listening = socket.create_server(
            (options.host, options.port),
            family=socket.AF_INET6 if by_ipv6 else socket.AF_INET,
            dualstack_ipv6=by_ipv6,  # "::" is all addresses
        )
    except OSError as error:
        raise RuntimeError(f"nothing can listen at {options.host}:{options.port}") from error
    server = HttpServer(app, options.keep_alive_timeout_s, options.request_timeout_s)
    return event_loop.create_task(server.serve(listening)), server
