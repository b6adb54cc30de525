"""Nobody gets past HAProxy over HTTP, calls included that come so; by Ray Serve's gRPC, see `test_guarded_calls`."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import Mock

import pytest
from ray._common import tls_utils
from ray._private import ray_constants
from ray.serve._private import constants, default_impl, grpc_util, http_util, proxy, replica
from ray.serve.config import HTTPOptions

from serve_app.api.grpc_callers import GrpcCallers
from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.front import guard, replica_http
from serve_app.front.haproxy import HEADER, HOST, SECRET
from serve_app.front.replica_http import WithoutCalls

NAME, SECRET_VALUE = HEADER.encode(), "a-secret-of-the-tests"
SHOWN = (NAME, SECRET_VALUE.encode())


async def asked(path: str, *headers: tuple[bytes, bytes]) -> tuple[int, list[Any]]:
    """The status, and the headers that the app behind the guard saw."""
    seen: list[Any] = []
    statuses: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await guard.OnlyFromTheFront(app, SECRET_VALUE)(
        {"type": "http", "path": path, "headers": list(headers)}, receive, send
    )
    return statuses[0], seen


@pytest.mark.parametrize(
    "headers", [[], [(NAME, b"")], [(NAME, b"wrong")], [SHOWN, SHOWN], [(NAME, b"x"), SHOWN], [(b"x", SHOWN[1])]]
)
async def test_without_the_secret_nothing_is_answered_and_nothing_read(headers: list[tuple[bytes, bytes]]) -> None:
    assert await asked("/collections", *headers) == (421, [])


async def test_a_websocket_goes_nowhere() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for headers in ([], [SHOWN]):
        app = Mock(side_effect=AssertionError("it went on"))
        await guard.OnlyFromTheFront(app, SECRET_VALUE)(
            {"type": "websocket", "path": "/", "headers": headers}, Mock(), send
        )
    assert sent == [{"type": "websocket.close"}] * 2


async def test_with_the_secret_a_request_goes_on_without_it() -> None:
    assert await asked("/collections", SHOWN, (b"x", b"1")) == (200, [(b"x", b"1")])


async def test_rays_own_checks_pass() -> None:
    assert (await asked("/-/healthz"))[0] == 200


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> Any:
    for module, name in (
        (default_impl, "add_grpc_address"),
        (grpc_util, "gRPCGenericServer"),
        (proxy, "start_asgi_http_server"),
        (replica, "start_asgi_http_server"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setenv(HOST, "127.0.0.1")
    monkeypatch.setenv(SECRET, SECRET_VALUE)
    return guard.middlewares()


async def test_grpc_servers_listen_where_they_should_and_are_guarded(hooked: Any) -> None:
    server = Mock()
    default_impl.add_grpc_address(server, "[::]:21000")
    server.add_insecure_port.assert_called_once_with("127.0.0.1:21000")
    assert grpc_util.gRPCGenericServer.__qualname__.startswith("guarded_server")


async def test_replicas_talk_to_each_other_where_they_should(hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_utils, "add_port_to_grpc_server", tls_utils.add_port_to_grpc_server)
    guard.in_each_process()
    server = Mock()
    tls_utils.add_port_to_grpc_server(server, "[::]:0")
    server.add_insecure_port.assert_called_once_with("127.0.0.1:0")


def test_ray_knows_the_hooks_by_these_names() -> None:
    hook, callback = guard.HOOKS
    assert hook == ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR
    assert "HTTP_PROXY_CALLBACK_IMPORT_PATH" in callback
    assert f'"{callback}"' in inspect.getsource(constants)


async def test_http_servers_listen_where_they_should(hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[HTTPOptions] = []

    async def start(app: Any, options: HTTPOptions, **_: Any) -> None:
        assert isinstance(app, WithoutCalls), "who has no replica of ours behind it"
        started.append(options)

    monkeypatch.setattr(http_util, "start_asgi_http_server", start)
    for module in (proxy, replica):
        await module.start_asgi_http_server(None, HTTPOptions(host="0.0.0.0", port=30000), event_loop=None)
    assert [(options.host, options.port) for options in started] == [("127.0.0.1", 30000)] * 2
    assert [one.kwargs["secret"] for one in hooked] == [SECRET_VALUE]


async def test_a_replicas_own_server_asks_who_calls(hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    callers = GrpcCallers(Authenticator(environment.read({})))
    monkeypatch.setattr(replica_http, "direct_app", lambda rays, callers: (rays, callers))

    async def start(app: Any, options: HTTPOptions, _: Any) -> None:
        given.append((app, options.host))

    monkeypatch.setattr(replica_http, "start_server", start)
    guard.middlewares(callers)
    await replica.start_asgi_http_server("its way in", HTTPOptions(host="0.0.0.0"), event_loop=None)
    assert given == [(("its way in", callers), "127.0.0.1")]


def test_ray_serve_still_opens_its_ports_by_what_is_replaced() -> None:
    """The names that the guard replaces: where Ray renames one, this fails and not the protection, silently."""
    assert "import add_grpc_address" in inspect.getsource(grpc_util.start_grpc_server)
    assert "gRPCGenericServer(" in inspect.getsource(grpc_util.start_grpc_server)
    assert grpc_util.start_grpc_server is replica.start_grpc_server is proxy.start_grpc_server
    assert "start_asgi_http_server(" in inspect.getsource(replica)
    assert "from ray._common.tls_utils import add_port_to_grpc_server" in inspect.getsource(replica)
    assert "start_asgi_http_server(" in inspect.getsource(proxy)


async def test_on_a_cluster_ports_stay_where_ray_puts_them(hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOST)
    guard.middlewares()
    server = Mock()
    default_impl.add_grpc_address(server, "[::]:21000")
    server.add_insecure_port.assert_called_once_with("[::]:21000")
