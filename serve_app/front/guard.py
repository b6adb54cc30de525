"""Where the ports of Ray Serve's own processes listen, and that those of the ingress answer nobody but HAProxy.

Ray Serve has no setting for the first (gRPC listens on all interfaces), nor for middlewares of its gRPC servers; so
what opens these ports is replaced here. Ray calls `in_each_process` when a process of its workers begins, and Ray Serve
`api.grpc_callers.middlewares`, which calls those here, in each ingress replica and in its own proxy, before they open
their ports.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from serve_app.front.haproxy import HEADER, HOST, RAYS_PAGES, SECRET

if TYPE_CHECKING:
    from serve_app.front.guarded_calls import Callers, Metadata, Refusal
    from serve_app.front.http_exchange import App, Scope

HOOKS = {
    "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": "serve_app.front.guard.in_each_process",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.api.grpc_callers:middlewares",
}
"""The variables by which Ray and Ray Serve know them; Ray itself makes the first of `worker_process_setup_hook`."""

_NAME = HEADER.encode()
_RAYS_OWN = RAYS_PAGES | {"/ray.serve.RayServeAPIService/Healthz"}
"""Asked by HAProxy itself and by Ray Serve. They say nothing that a caller could use."""


class OnlyFromTheFront:
    """Answers what came through HAProxy; of anything else nothing is read."""

    def __init__(self, app: App, secret: str) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """As ASGI has it."""
        if scope["type"] == "websocket":  # nobody here speaks it, and it would go on unguarded
            await send({"type": "websocket.close"})
            return
        if scope["type"] == "http":
            if not _came_through(scope["headers"], _NAME, self._secret) and scope["path"] not in _RAYS_OWN:
                await send({"type": "http.response.start", "status": 421, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
                return
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != _NAME]
        await self._app(scope, receive, send)


def in_each_process() -> None:
    """Have the gRPC servers by which replicas talk to each other listen where they should."""
    from ray._common import tls_utils  # noqa: PLC0415

    host = os.environ.get(HOST)
    add: Callable[[Any, str], Any] = tls_utils.add_port_to_grpc_server

    def add_port_to_grpc_server(server: Any, address: str) -> Any:
        return add(server, f"{host}:{address.rpartition(':')[2]}")

    if host:
        vars(tls_utils)["add_port_to_grpc_server"] = add_port_to_grpc_server


def middlewares(callers: Callers | None = None) -> list[Any]:
    """What stands in front of this process's HTTP server; from now on its servers listen where they should.

    `callers` looks at gRPC calls; over HTTP an app reads no body that it does not ask for.
    """
    from starlette.middleware import Middleware  # noqa: PLC0415  Ray Serve brings it

    host, secret = os.environ.get(HOST), os.environ.get(SECRET)
    _open_grpc(host, secret, callers)
    _open_http(host, callers)
    return [Middleware(OnlyFromTheFront, secret=secret)] if secret else []


def _open_http(host: str | None, callers: Callers | None) -> None:
    """Have HTTP servers of this process listen on `host`, and those of ingress replicas be our own, gRPC included."""
    from ray.serve._private import http_util, proxy, replica  # noqa: PLC0415

    # Ray Serve takes long to import.
    from serve_app.front.replica_http import WithoutCalls, direct_app, start_server  # noqa: PLC0415

    async def start(app: Any, options: Any, *, event_loop: Any, **others: Any) -> Any:
        options = options.model_copy(update={"host": host or options.host})
        direct = None if options.ssl_certfile else direct_app(app, callers)
        if direct:
            return await start_server(direct, options, event_loop)
        return await http_util.start_asgi_http_server(WithoutCalls(app), options, event_loop=event_loop, **others)

    for module in (proxy, replica):
        vars(module)["start_asgi_http_server"] = start


def _open_grpc(host: str | None, secret: str | None, callers: Callers | None) -> None:
    """Have gRPC servers of this process listen on `host`, and read messages of nobody whom they would not answer."""
    from ray.serve._private import default_impl, grpc_util  # noqa: PLC0415

    from serve_app.front.guarded_calls import guarded_server  # noqa: PLC0415  gRPC takes long to import

    def add_grpc_address(server: Any, address: str) -> None:
        server.add_insecure_port(f"{host}:{address.rpartition(':')[2]}" if host else address)

    vars(default_impl)["add_grpc_address"] = add_grpc_address
    look, is_open = partial(_refusal, secret, callers), partial(_is_open, callers)
    vars(grpc_util)["gRPCGenericServer"] = guarded_server(grpc_util.gRPCGenericServer, look, is_open)


def _refusal(secret: str | None, callers: Callers | None, method: str, metadata: Metadata) -> Refusal | None:
    if method in _RAYS_OWN:
        return None
    if secret and not _came_through(metadata, HEADER, secret):
        return "PERMISSION_DENIED", "this port is not for callers"
    return callers.refusal(method, metadata) if callers else None


def _is_open(callers: Callers | None, method: str) -> bool:
    return method in _RAYS_OWN or (callers is not None and callers.is_open(method))


def _came_through(shown: Iterable[tuple[Any, Any]], name: Any, secret: str) -> bool:
    values = [value for key, value in shown if key == name]
    value = values[0] if len(values) == 1 else ""
    return hmac.compare_digest(value if isinstance(value, bytes) else value.encode(), secret.encode())
