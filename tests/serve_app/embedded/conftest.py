"""A store in a temporary folder, alone and behind servers for the official client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient

from serve_app.embedded.store import EmbeddedStore, GrpcError
from serve_app.protocol.grpc_services import request_class
from tests.support.embedded import Rest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def rest(store: EmbeddedStore) -> Rest:
    return Rest(store)


class Servers:
    """Servers in front of the store of the test that runs, and the official client of each."""

    store: EmbeddedStore
    clients: dict[str, QdrantClient]


def _http_server(servers: Servers) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content = servers.store.rest(self.command, path, query, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


class _AnyMethod(grpc.GenericRpcHandler):
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return self._servers.store.grpc(details.method, request)
            except GrpcError as error:
                context.abort(error.code, error.message)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_class(details.method).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """One pair of servers for all tests of a module.

    The client's check of the server's version runs in a thread that may outlive a test; a test of its own does it.
    """
    servers = Servers()
    http = _http_server(servers)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    rpc = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_AnyMethod(servers)])
    ports: dict[str, Any] = {"port": http.server_address[1], "grpc_port": rpc.add_insecure_port("127.0.0.1:0")}
    rpc.start()
    servers.clients = {
        name: QdrantClient(host="127.0.0.1", prefer_grpc=name == "grpc", check_compatibility=False, **ports)
        for name in ("rest", "grpc")
    }
    yield servers
    for client in servers.clients.values():
        client.close()
    rpc.stop(None).wait()
    http.shutdown()
    http.server_close()


@pytest.fixture
def clients(servers: Servers, store: EmbeddedStore) -> dict[str, QdrantClient]:
    """The official client over both protocols, on the same store."""
    servers.store = store
    return servers.clients


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, clients: dict[str, QdrantClient]) -> QdrantClient:
    """The official client, over each protocol in turn."""
    return clients[request.param]
