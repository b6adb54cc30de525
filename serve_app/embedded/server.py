"""The embedded store as a server by itself, over HTTP and gRPC: a small Qdrant for tests and trials."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from google.protobuf.message import Message
from typing_extensions import override

from serve_app.embedded.store import EmbeddedStore, GrpcError
from serve_app.methods import is_method, request_class

_MAX_MESSAGE = 256 * 1024 * 1024


async def serve(folder: Path, host: str, rest_port: int, grpc_port: int, ready: Callable[[], None]) -> None:
    """Serve the store in `folder` until SIGINT or SIGTERM; `ready` is called when both ports are open.

    Raises:
        ConfigError: the folder cannot be used.
        OSError, RuntimeError: a port is taken.
    """
    store = EmbeddedStore(folder)
    # One thread: requests are answered in the order in which they come.
    worker = ThreadPoolExecutor(1, thread_name_prefix="store")
    http = web.AppRunner(_http(store, worker), access_log=None)
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.so_reuseport", 0)]
    rpc = grpc.aio.server(handlers=[_Methods(store, worker)], options=options)
    try:
        rpc.add_insecure_port(f"{host}:{grpc_port}")
        await rpc.start()
        await http.setup()
        await web.TCPSite(http, host, rest_port).start()
        ready()
        await _stop_signal()
    finally:
        await http.cleanup()
        await rpc.stop(grace=5)
        worker.shutdown()
        store.close()


def _http(store: EmbeddedStore, worker: ThreadPoolExecutor) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        body = await request.read()
        loop = asyncio.get_running_loop()
        status, content = await loop.run_in_executor(worker, store.rest, request.method, path, query, body)
        return web.Response(status=status, body=content, content_type="application/json")

    app = web.Application(client_max_size=_MAX_MESSAGE)
    app.router.add_route("*", "/{path:.*}", answer)
    return app


class _Methods(grpc.GenericRpcHandler):
    """Every method of Qdrant's services."""

    def __init__(self, store: EmbeddedStore, worker: ThreadPoolExecutor) -> None:
        self._store = store
        self._worker = worker

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        method = handler_call_details.method

        async def answer(request: Message, context: Any) -> Message | None:
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._worker, self._store.grpc, method, request)
            except GrpcError as error:
                await context.abort(error.code, error.message)
                return None

        if not is_method(method):
            return None
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_class(method).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


async def _stop_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
