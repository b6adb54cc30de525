"""The embedded store as a server, over HTTP and gRPC: for the gateway beside it, or by itself as a small Qdrant."""

from __future__ import annotations

import asyncio
import hmac
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import grpc
from aiohttp import web
from typing_extensions import override

from serve_app.embedded.address import KEY_HEADER
from serve_app.embedded.engine.errors import TakesLong
from serve_app.embedded.rest_routes import PLAIN_TEXT
from serve_app.embedded.store import EmbeddedStore, GrpcError
from serve_app.protocol.grpc_services import is_method
from serve_app.protocol.offload import take_short_turns

T = TypeVar("T")
_MAX_MESSAGE = 256 * 1024 * 1024
_RETRY_AFTER = re.compile(rb"Retry after (\d+)s")
"""What a refusal by rate says, and a header has to say as well."""


class Server:
    """A store behind two ports. A caller without its `key`, where there is one, is not answered at all."""

    def __init__(self, store: EmbeddedStore, key: str = "") -> None:
        self._store = store
        self._workers = _Workers()
        # A request whose caller has given up leaves the queue.
        self._http = web.AppRunner(_http(store, self._workers, key), access_log=None, handler_cancellation=True)
        options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.so_reuseport", 0)]
        self._rpc = grpc.aio.server(handlers=[_Methods(store, self._workers, key)], options=options)

    async def start(self, host: str, rest_port: int, grpc_port: int) -> tuple[int, int]:
        """Open both ports, and tell them: where 0 is asked for, it is one that is free.

        Raises:
            OSError, RuntimeError: a port is taken.
        """
        grpc_port = self._rpc.add_insecure_port(f"{host}:{grpc_port}")
        await self._rpc.start()
        await self._http.setup()
        site = web.TCPSite(self._http, host, rest_port)
        await site.start()
        return int(self._http.addresses[0][1]), grpc_port

    async def stop(self) -> None:
        """Close both ports and then the store."""
        await self._http.cleanup()
        await self._rpc.stop(grace=5)
        self.close()

    def close(self) -> None:
        """Close the store after the requests that it answers now."""
        self._workers.close()
        self._store.close()


class _Workers:
    """Threads for the requests.

    One is for those that change something, which keeps their order, others for those that read, and one for those of
    them that take long: the quick ones need not wait for these.
    """

    _READERS = 4

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(self._READERS, thread_name_prefix="store-read")
        self._patient = ThreadPoolExecutor(1, thread_name_prefix="store-read-long")

    async def answer(self, ask: Callable[..., T], *arguments: Any, writes: bool) -> T:
        """What `ask` answers in one of the threads."""
        loop = asyncio.get_running_loop()
        if writes:
            return await loop.run_in_executor(self._writer, ask, *arguments)
        try:
            return await loop.run_in_executor(self._readers, partial(ask, *arguments, others_wait=True))
        except TakesLong:
            return await loop.run_in_executor(self._patient, ask, *arguments)

    def close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._patient.shutdown()


async def serve(folder: Path, host: str, rest_port: int, grpc_port: int, ready: Callable[[], None]) -> None:
    """Serve the store in `folder` until SIGINT or SIGTERM; `ready` is called when both ports are open.

    Raises:
        ConfigError: the folder cannot be used.
        OSError, RuntimeError: a port is taken.
    """
    take_short_turns()
    server = Server(EmbeddedStore(folder))
    try:
        await server.start(host, rest_port, grpc_port)
        ready()
        await _stop_signal()
    finally:
        await server.stop()


def _http(store: EmbeddedStore, workers: _Workers, key: str) -> web.Application:
    async def answer(request: web.Request) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, ""), key):
            if request.transport:
                request.transport.abort()
            return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST)
        path, _, query = request.raw_path.partition("?")
        found = store.file(request.method, path)
        if found is not None:
            return web.FileResponse(found, headers={"content-type": "application/tar"})
        body = await request.read()
        writes = store.writes(request.method, path)
        status, content = await workers.answer(store.rest, request.method, path, query, body, writes=writes)
        kind = "text/plain" if path in PLAIN_TEXT else "application/json"
        later = _RETRY_AFTER.search(content) if status == HTTPStatus.TOO_MANY_REQUESTS else None
        headers = {"retry-after": later[1].decode()} if later else None
        return web.Response(status=status, body=content, content_type=kind, headers=headers)

    app = web.Application(client_max_size=_MAX_MESSAGE)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


class _Methods(grpc.GenericRpcHandler):
    """Every method of Qdrant's services."""

    def __init__(self, store: EmbeddedStore, workers: _Workers, key: str) -> None:
        self._store = store
        self._workers = workers
        self._key = key

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method
        shown = dict(handler_call_details.invocation_metadata or ()).get(KEY_HEADER, "")

        async def answer(request: bytes, context: Any) -> bytes | None:
            if not hmac.compare_digest(str(shown), self._key):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "this is another store")
            try:
                writes = self._store.grpc_writes(method)
                return await self._workers.answer(self._store.grpc_bytes, method, request, writes=writes)
            except GrpcError as error:
                await context.abort(error.code, error.message)
                return None

        if not is_method(method):
            return None
        return grpc.unary_unary_rpc_method_handler(answer)


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
