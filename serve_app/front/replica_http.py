"""HTTP requests answered in an ingress replica without Ray Serve's own handling of each; see `direct_calls` for gRPC.

Of a request Ray Serve makes three tasks, a queue, two middlewares, and a line for the log. What matters of it stays:
the replica's limits and counts (`front.ray_replica`), `request_timeout_s`, `keep_alive_timeout_s`, and its own paths.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from deployments.errors import Overloaded
from serve_app.front.haproxy import RAYS_PAGES
from serve_app.front.http_exchange import App, Scope
from serve_app.front.http_server import HttpServer
from serve_app.front.ray_replica import OngoingRequests, asgi_app, deployed, replica_of
from serve_app.protocol.error_responses import http_error


class CountedApp:
    """A replica's app, each of whose requests Ray Serve is told of."""

    def __init__(self, app: App, rays: App, requests: OngoingRequests) -> None:
        """`rays` answers `RAYS_PAGES`."""
        self._app = app
        self._rays = rays
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        if scope["path"] in RAYS_PAGES:
            await self._rays(scope, receive, send)
        elif self._requests.are_too_many:
            status, headers, body = http_error(Overloaded("too many requests wait for this replica"))
            await send({"type": "http.response.start", "status": int(status), "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Any, send: Any) -> None:
        came_in = await self._requests.begin()
        broken_off = True
        try:
            await self._app(scope, receive, send)
            broken_off = False
        finally:
            self._requests.end(came_in, scope["method"], "", is_error=broken_off)


def direct_app(rays: Any) -> App | None:
    """The app of the replica whose way in `rays` is, as Ray Serve gives it to a server; None if it has none here."""
    replica = replica_of(rays)
    app = asgi_app(deployed(replica)) if replica else None
    return CountedApp(app, rays, OngoingRequests(replica, "HTTP")) if app else None


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
