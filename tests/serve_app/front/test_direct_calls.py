"""A call that the ingress answers itself: as Ray Serve does, limits and counts included, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ray.serve._private.grpc_util import gRPCGenericServer, start_grpc_server
from ray.serve.config import gRPCOptions
from ray.serve.grpc_util import RayServegRPCContext

from serve_app.front.direct_calls import CallContext, direct_answer
from serve_app.front.guarded_calls import guarded_server
from serve_app.protocol.messages import RawMessage
from tests.support.ray_replica import eventually, ray_replica
from tests.support.running import free_ports

METHOD = "/qdrant.Points/Query"
CODES = {b"missing": grpc.StatusCode.NOT_FOUND, b"full": grpc.StatusCode.RESOURCE_EXHAUSTED}


class Deployment:
    """Answers with what it is asked; what it is asked to do is in the message."""

    def __init__(self) -> None:
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

    async def Query(self, request: RawMessage, grpc_context: Any) -> RawMessage:
        return await self.answer_call(request, grpc_context)


Answer = tuple[str, str, bytes, list[tuple[str, Any]]]
Call = Callable[..., Any]


@contextlib.asynccontextmanager
async def served(replica: Any, monkeypatch: pytest.MonkeyPatch, *, directly: bool = True) -> AsyncIterator[Call]:
    direct = direct_answer if directly else (lambda _: None)
    kind = guarded_server(gRPCGenericServer, lambda *_: None, lambda _: False, direct)
    monkeypatch.setattr("ray.serve._private.grpc_util.gRPCGenericServer", kind)
    (port,) = free_ports(1)
    options = gRPCOptions(port=port, grpc_servicer_functions=["serve_app.protocol.grpc_services.add_to_server"])
    loop = SimpleNamespace(create_task=lambda waiting: waiting.close())
    factory = replica._direct_ingress_service_handler_factory
    _, server = await start_grpc_server(factory, options, event_loop=loop)  # type: ignore[arg-type]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        async def call(
            message: bytes, *metadata: tuple[str, str], method: str = METHOD, within_s: float = 20
        ) -> Answer:
            asked = channel.unary_unary(method)(message, metadata=metadata, timeout=within_s)  # type: ignore[var-annotated]
            try:
                code, details, trailers = await asked.code(), await asked.details(), await asked.trailing_metadata()
            except asyncio.CancelledError:
                asked.cancel()
                raise
            return code.name, details or "", await asked if code is grpc.StatusCode.OK else b"", list(trailers)

        yield call
    await server.stop(None)


@pytest.mark.parametrize("directly", [True, False])
async def test_it_is_answered_as_ray_serve_does(monkeypatch: pytest.MonkeyPatch, directly: bool) -> None:
    this = ray_replica(Deployment())
    async with served(this, monkeypatch, directly=directly) as call:
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
    assert this._user_callable_wrapper.user_callable.contexts == {CallContext if directly else RayServegRPCContext}
    assert this._metrics_manager.ended.count((METHOD, "OK", False)) == 4
    assert this._metrics_manager.ongoing == this._semaphore._value == this._num_queued_requests == 0


@pytest.mark.parametrize("directly", [True, False])
async def test_as_many_run_as_may_and_as_many_wait(monkeypatch: pytest.MonkeyPatch, directly: bool) -> None:
    this = ray_replica(Deployment(), running=2, queued=1)
    deployment = this._user_callable_wrapper.user_callable
    async with served(this, monkeypatch, directly=directly) as call:
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
async def test_who_hangs_up_ends_the_call(monkeypatch: pytest.MonkeyPatch, directly: bool) -> None:
    """One that runs, and one that waits for its turn; the second by its deadline."""
    this = ray_replica(Deployment(), running=1)
    deployment = this._user_callable_wrapper.user_callable
    async with served(this, monkeypatch, directly=directly) as call:
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
async def test_no_call_takes_longer_than_the_serve_config_allows(
    monkeypatch: pytest.MonkeyPatch, directly: bool
) -> None:
    this = ray_replica(Deployment(), timeout_s=0.05)
    async with served(this, monkeypatch, directly=directly) as call:
        assert (await call(b"wait"))[:2] == ("DEADLINE_EXCEEDED", "Request timed out after 0.05s.")
        assert this._user_callable_wrapper.user_callable.running["cancelled"] == 1
    assert this._metrics_manager.ended == [(METHOD, "DEADLINE_EXCEEDED", True)]
    assert this._metrics_manager.ongoing == this._semaphore._value == 0


async def test_a_replica_that_is_to_stop_waits_for_its_calls_and_answers_others_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployment = Deployment()
    this = ray_replica(deployment)
    async with served(this, monkeypatch) as call:
        runs = asyncio.create_task(call(b"wait"))
        await eventually(lambda: deployment.running["waiting"] == 1)
        drains = asyncio.create_task(this._drain_ongoing_requests())
        assert (await call(b"ab"))[0] == "OK"
        await asyncio.sleep(0.05)
        assert not drains.done()
        deployment.go_on.set()
        assert (await runs)[0] == "OK"
        await asyncio.wait_for(drains, 20)


async def test_what_is_no_deployment_of_ours_is_left_to_ray_serve() -> None:
    this = ray_replica(Deployment())
    assert direct_answer(this._direct_ingress_service_handler_factory) is not None
    this._user_callable_wrapper._user_code_event_loop = None
    assert direct_answer(this._direct_ingress_service_handler_factory) is None, "it has a thread of its own"
    other = ray_replica(Deployment())
    other._user_callable_wrapper._callable = object()
    assert direct_answer(other._direct_ingress_service_handler_factory) is None
    assert direct_answer(lambda **_: None) is None, "Ray Serve's own proxy"
