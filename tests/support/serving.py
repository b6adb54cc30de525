"""An ASGI app on a port of its own, behind the server that ingress replicas have."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from serve_app.front.http_exchange import App
from serve_app.front.http_server import HttpServer


@asynccontextmanager
async def served_here(app: App) -> AsyncIterator[int]:
    """Serve it in this event loop; gives the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    server = HttpServer(app, keep_alive_s=60)
    task = asyncio.get_running_loop().create_task(server.serve(listening))
    try:
        yield port
    finally:
        server.should_exit = True
        await task


@contextmanager
def served_beside(app: App) -> Iterator[int]:
    """Serve it in a thread with an event loop of its own; gives the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = served_here(app)
    port = asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
