"""A request that the ingress answers itself, over a real connection: Ray Serve's limits and counts hold."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from ray.serve._private import replica as rays
from ray.serve._private.http_util import ASGIAppReplicaWrapper
from starlette.middleware import Middleware

from serve_app.front.guard import OnlyFromTheFront
from serve_app.front.haproxy import HEADER, PROTOCOL
from serve_app.front.replica_http import WithoutCalls, direct_app, start_server
from serve_app.protocol.messages import RawMessage
from tests.support.ray_replica import eventually, ray_replica
from tests.support.running import free_ports

SECRET = "a-secret-of-the-tests"


class App:
    """Answers, or waits first."""

    def __init__(self) -> None:
        self.waiting = self.cancelled = 0
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fails":
            raise ValueError
        if scope["path"] == "/waits":
            self.waiting += 1
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def served(replica: Any, host: str = "127.0.0.1", asked: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    app = direct_app(replica._direct_ingress_asgi, None)
    assert app
    (port,) = free_ports(1)
    options = SimpleNamespace(
        host=host,
        port=port,
        middlewares=[Middleware(OnlyFromTheFront, secret=SECRET)],
        keep_alive_timeout_s=60,
        request_timeout_s=None,
    )
    task, server = await start_server(app, options, asyncio.get_running_loop())
    with pytest.raises(RuntimeError) as refused:
        await start_server(app, options, asyncio.get_running_loop())
    assert isinstance(refused.value.__cause__, OSError)
    async with httpx.AsyncClient(base_url=f"http://{asked}:{port}", headers={HEADER: SECRET}) as client:
        yield client
    server.should_exit = True
    await task


class Wrapped(ASGIAppReplicaWrapper):
    """Ray Serve awaits the end of one, which nothing here does."""

    def __del__(self) -> None: ...  # type: ignore[override]


def made(app: App, **limits: Any) -> Any:
    replica = ray_replica(Wrapped(app), **limits)
    replica._user_callable_initialized = True
    return replica


def is_at_rest(replica: Any) -> bool:
    return bool(replica._metrics_manager.ongoing == replica._semaphore._value == replica._num_queued_requests == 0)


async def test_as_many_run_as_may_and_as_many_wait() -> None:
    app = App()
    replica = made(app, running=2, queued=1)
    async with served(replica) as client:
        asked = [asyncio.create_task(client.get("/waits")) for _ in range(2)]
        await eventually(lambda: app.waiting == 2)
        asked.append(asyncio.create_task(client.get("/waits")))
        await eventually(lambda: replica._num_queued_requests == 1)
        assert (replica._metrics_manager.ongoing, app.waiting) == (2, 2)
        refused = await client.get("/collections")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["status"]["error"] == "too many requests wait for this replica"
        app.go_on.set()
        assert [(await one).text for one in asked] == ["ok"] * 3
        assert is_at_rest(replica)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
@pytest.mark.parametrize("asked", ["127.0.0.1", "[::1]"])
async def test_all_addresses_are_those_of_both_families(asked: str) -> None:
    async with served(made(App()), "::", asked) as client:
        assert (await client.get("/collections")).text == "ok"


async def test_who_hangs_up_is_counted_no_longer() -> None:
    app = App()
    replica = made(app, running=1)
    async with served(replica) as client:
        runs, waits = (asyncio.create_task(client.get("/waits")) for _ in range(2))
        await eventually(lambda: app.waiting == 1 and replica._num_queued_requests == 1)
        for one in (waits, runs):
            one.cancel()
        await eventually(lambda: is_at_rest(replica))
        assert app.cancelled == 1
        assert (await client.get("/collections")).text == "ok"


async def test_what_fails_is_answered_and_counted_no_longer() -> None:
    replica = made(App())
    async with served(replica) as client:
        assert (await client.get("/fails")).status_code == 500
        assert is_at_rest(replica)


async def test_rays_own_paths_are_ray_serves_and_the_front_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def rays_way(_: Any, scope: Any, __: Any, send: Any) -> None:
        asked.append(scope["path"])
        headers = [[b"content-length", b"0"]]  # as Ray Serve has pairs
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body"})

    monkeypatch.setattr(rays.Replica, "_direct_ingress_asgi", rays_way)
    async with served(made(App())) as client:
        assert (await client.get("/-/healthz", headers={HEADER: "wrong"})).status_code == 503
        assert (await client.get("/-/routes")).status_code == 503
        assert (await client.get("/collections", headers={HEADER: "wrong"})).status_code == 421
        assert (await client.get("/collections")).text == "ok"
    assert asked == ["/-/healthz", "/-/routes"]


CALL = {PROTOCOL: "grpc", "content-type": "application/grpc"}


class Answering(Wrapped):
    """A deployment that takes calls as well."""

    async def answer_call(self, message: RawMessage, _: Any) -> RawMessage:
        return message


async def test_calls_go_another_way_if_the_deployment_takes_them() -> None:
    replica = ray_replica(Answering(App()))
    async with served(replica) as client:
        answer = await client.post("/qdrant.Points/Get", headers=CALL, content=b"\0\0\0\0\1a")
        assert (answer.headers["content-type"], answer.content) == ("application/grpc", b"\0\0\0\0\1a")
        assert (await client.post("/grpc.health.v1.Health/Check", headers=CALL)).content == b""
        for path, headers in (("/qdrant.Points/Get", {}), ("/collections", CALL), ("/qdrant", CALL)):
            assert (await client.post(path, headers=headers)).text == "ok", "no call"
        assert (await client.post("/qdrant.Points/Get", headers={**CALL, HEADER: "wrong"})).status_code == 421
    assert [method for method, _, _ in replica._metrics_manager.ended if method[0] == "/"] == [
        "/qdrant.Points/Get",
        "/grpc.health.v1.Health/Check",
    ]
    assert is_at_rest(replica)
    async with served(made(App())) as client:
        assert (await client.post("/qdrant.Points/Get", headers=CALL)).text == "ok", "it takes none"


async def test_ray_serves_own_proxy_takes_no_calls_over_http() -> None:
    transport = httpx.ASGITransport(WithoutCalls(App()))
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        assert (await client.post("/qdrant.Points/Get", headers=CALL)).status_code == 503
        assert (await client.post("/qdrant.Points/Get")).text == "ok"


async def test_what_is_no_app_of_a_replica_is_left_to_ray_serve() -> None:
    assert direct_app(ray_replica(object())._direct_ingress_asgi, None) is None
    assert direct_app(App(), None) is None, "Ray Serve's own proxy"
    threaded = made(App())
    threaded._user_callable_wrapper._user_code_event_loop = None
    assert direct_app(threaded._direct_ingress_asgi, None) is None, "it has a thread of its own"


async def test_ray_serve_is_told_of_statuses() -> None:
    replica = made(App())
    async with served(replica) as client:
        assert (await client.get("/collections")).status_code == 200
        assert (await client.put("/fails")).status_code == 500
    assert replica._metrics_manager.ended == [("GET", "200", False), ("PUT", "", True)]


def test_it_counts_them_unless_it_reads_haproxys_log() -> None:
    emits = rays.ReplicaMetricsManager._should_emit_request_ingress_metrics
    assert {"RAY_SERVE_HAPROXY_METRICS_ENABLED", "RequestProtocol"} <= set(emits.__code__.co_names)
