"""A call that the ingress answers itself: as Ray Serve does, limits and counts included, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ray.serve._private import replica as rays
from ray.serve._private.grpc_util import gRPCGenericServer, start_grpc_server
from ray.serve._private.http_util import ASGIAppReplicaWrapper
from ray.serve.config import gRPCOptions
from ray.serve.grpc_util import RayServegRPCContext
from starlette.middleware import Middleware

from serve_app.front.grpc_calls import CallContext
from serve_app.front.guard import OnlyFromTheFront
from serve_app.front.guarded_calls import Callers, guarded_server
from serve_app.front.replica_http import direct_app, start_server
from serve_app.protocol.messages import RawMessage
from tests.support.front import SECRET_VALUE, Front, started
from tests.support.ray_replica import eventually, ray_replica
from tests.support.running import free_ports

METHOD = "/qdrant.Points/Query"
CODES = {b"missing": grpc.StatusCode.NOT_FOUND, b"full": grpc.StatusCode.RESOURCE_EXHAUSTED}


async def rest(_: Any, __: Any, send: Any) -> None:
    """What requests that are no calls come to."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"rest"})


async def rests(_: Any, *asgi: Any) -> None:
    """The same of a replica."""
    await rest(*asgi)


class Deployment(ASGIAppReplicaWrapper):
    """Answers with what it is asked; what it is asked to do is in the message."""

    def __init__(self) -> None:
        super().__init__(lambda: rest)
        self.running = Counter[str]()
        self.contexts: set[type] = set()
        self.go_on = asyncio.Event()

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        self.contexts.add(type(context))
        if message.data == b"wait":
            self.running["waiting"] += 1
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.running["cancelled"] += 1
                raise
            finally:
                self.running["waiting"] -= 1
        context.set_trailing_metadata([("seen", dict(context.invocation_metadata()).get("x", ""))])
        if code := CODES.get(message.data):
            context.set_code(code)
            context.set_details(f"it is {message.data.decode()}")
            return RawMessage(message.method, b"")
        return RawMessage(message.method, message.data * 2)

    def __del__(self) -> None: ...  # type: ignore[override]  # Ray Serve awaits the end of one, which nothing here does

    async def Query(self, request: RawMessage, grpc_context: Any) -> RawMessage:
        return await self.answer_call(request, grpc_context)


Answer = tuple[str, str, bytes, list[tuple[str, Any]]]
Call = Callable[..., Any]


@contextlib.asynccontextmanager
async def by_http(replica: Any, callers: Callers | None = None) -> AsyncIterator[int]:
    """The port of an HAProxy that hands calls to the replica's HTTP server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rays.Replica, "_direct_ingress_asgi", rests)  # HAProxy asks whether it is well
        app = direct_app(replica._direct_ingress_asgi, callers)
    assert app
    (port,) = free_ports(1)
    guard = Middleware(OnlyFromTheFront, secret=SECRET_VALUE)
    options = SimpleNamespace(
        host="127.0.0.1", port=port, middlewares=[guard], keep_alive_timeout_s=60, request_timeout_s=None
    )
    task, server = await start_server(app, options, asyncio.get_running_loop())
    async with by_grpc(replica) as others:
        with tempfile.TemporaryDirectory() as folder:
            haproxy = started(Front(Path(folder), port, others))
            front = await asyncio.to_thread(haproxy.__enter__)
            try:
                yield front.grpc
            finally:
                haproxy.__exit__(None, None, None)
    server.should_exit = True
    await task


@contextlib.asynccontextmanager
async def by_grpc(replica: Any) -> AsyncIterator[int]:
    """The port of Ray Serve's own server, which handles calls in its own way."""
    kind = guarded_server(gRPCGenericServer, lambda *_: None, lambda _: False)
    (port,) = free_ports(1)
    options = gRPCOptions(port=port, grpc_servicer_functions=["serve_app.protocol.grpc_services.add_to_server"])
    loop = SimpleNamespace(create_task=lambda waiting: waiting.close())
    factory = replica._direct_ingress_service_handler_factory
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.serve._private.grpc_util.gRPCGenericServer", kind)
        _, server = await start_grpc_server(factory, options, event_loop=loop)  # type: ignore[arg-type]
    yield port
    await server.stop(None)


@contextlib.asynccontextmanager
async def served(replica: Any, *, directly: bool = True) -> AsyncIterator[Call]:
    way = by_http if directly else by_grpc
    async with way(replica) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        async def call(
            message: bytes, *metadata: tuple[str, str | bytes], method: str = METHOD, within_s: float = 20
        ) -> Answer:
            asked = channel.unary_unary(method)(message, metadata=metadata, timeout=within_s)  # type: ignore[var-annotated]
            try:
                code, details, trailers = await asked.code(), await asked.details(), await asked.trailing_metadata()
            except asyncio.CancelledError:
                asked.cancel()
                raise
            return code.name, details or "", await asked if code is grpc.StatusCode.OK else b"", list(trailers)

        yield call


@pytest.mark.parametrize("directly", [True, False])
async def test_it_is_answered_as_ray_serve_does(directly: bool) -> None:
    this = ray_replica(Deployment())
    async with served(this, directly=directly) as call:
        told = [("request_id", "i"), ("x", "1")]
        shown = [("request_id", "i"), ("seen", "1")]
        assert await call(b"ab", *told, ("application", "app")) == ("OK", "", b"abab", shown)
        assert await call(b"missing", *told) == ("NOT_FOUND", "it is missing", b"", shown)
        assert await call(b"full", *told) == ("RESOURCE_EXHAUSTED", "it is full", b"", shown)
        code, details, _, trailers = await call(b"ab", *told, ("application", "b"))
        assert (code, details.split(".")[0], trailers) == ("NOT_FOUND", "Application 'b' not found", [])
        ((name, value), _) = (await call(b"ab"))[3]
        assert (name, len(value)) == ("request_id", 36), "one of its own"
        assert (await call(b"ab", method="/qdrant.Points/None"))[0] == "UNIMPLEMENTED"
    assert this._user_callable_wrapper.user_callable.contexts == {RayServegRPCContext} | (
        {CallContext} if directly else set()
    )
    assert this._metrics_manager.ended.count((METHOD, "OK", False)) == 4
    assert this._metrics_manager.ongoing == this._semaphore._value == this._num_queued_requests == 0


@pytest.mark.parametrize("directly", [True, False])
async def test_as_many_run_as_may_and_as_many_wait(directly: bool) -> None:
    this = ray_replica(Deployment(), running=2, queued=1)
    deployment = this._user_callable_wrapper.user_callable
    async with served(this, directly=directly) as call:
        calls = [asyncio.create_task(call(b"wait")) for _ in range(2)]
        await eventually(lambda: deployment.running["waiting"] == 2)
        calls.append(asyncio.create_task(call(b"wait")))
        await eventually(lambda: this._num_queued_requests == 1)
        assert (this._metrics_manager.ongoing, deployment.running["waiting"]) == (2, 2)
        assert (await call(b"ab"))[:2] == ("RESOURCE_EXHAUSTED", "Request dropped due to backpressure")
        deployment.go_on.set()
        assert {(await one)[0] for one in calls} == {"OK"}
        assert (await call(b"ab"))[0] == "OK"
    assert this._metrics_manager.ongoing == this._semaphore._value == this._num_queued_requests == 0


@pytest.mark.parametrize("directly", [True, False])
async def test_who_hangs_up_ends_the_call(directly: bool) -> None:
    """One that runs, and one that waits for its turn; the second by its deadline."""
    this = ray_replica(Deployment(), running=1)
    deployment = this._user_callable_wrapper.user_callable
    async with served(this, directly=directly) as call:
        runs = asyncio.create_task(call(b"wait"))
        await eventually(lambda: deployment.running["waiting"] == 1)
        assert (await call(b"wait", within_s=0.1))[0] == "DEADLINE_EXCEEDED"
        await eventually(lambda: this._num_queued_requests == 0)
        runs.cancel()
        await eventually(lambda: deployment.running["cancelled"] == 1)
        await eventually(lambda: this._metrics_manager.ongoing == this._semaphore._value == 0)
        assert (METHOD, "CANCELLED", True) in this._metrics_manager.ended
        assert (await call(b"ab"))[0] == "OK"


@pytest.mark.parametrize("directly", [True, False])
async def test_no_call_takes_longer_than_the_serve_config_allows(directly: bool) -> None:
    this = ray_replica(Deployment(), timeout_s=0.05)
    async with served(this, directly=directly) as call:
        assert (await call(b"wait"))[:2] == ("DEADLINE_EXCEEDED", "Request timed out after 0.05s.")
        assert this._user_callable_wrapper.user_callable.running["cancelled"] == 1
    assert this._metrics_manager.ended == [(METHOD, "DEADLINE_EXCEEDED", True)]
    assert this._metrics_manager.ongoing == this._semaphore._value == 0


async def test_a_replica_that_is_to_stop_waits_for_its_calls_and_answers_others_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()
    this = ray_replica(deployment)
    async with served(this) as call:
        runs = asyncio.create_task(call(b"wait"))
        await eventually(lambda: deployment.running["waiting"] == 1)
        drains = asyncio.create_task(this._drain_ongoing_requests())
        assert (await call(b"ab"))[0] == "OK"
        await asyncio.sleep(0.05)
        assert not drains.done()
        deployment.go_on.set()
        assert (await runs)[0] == "OK"
        await asyncio.wait_for(drains, 20)
