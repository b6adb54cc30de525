"""Calls by HAProxy, which the ingress answers itself: as Ray Serve does, limits and counts included."""

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

from serve_app.api.grpc import _passed_on
from serve_app.api.grpc_callers import GrpcCallers
from serve_app.auth.access import Authenticator
from serve_app.config import environment
from serve_app.front.grpc_calls import CallContext
from serve_app.front.guard import OnlyFromTheFront
from serve_app.front.guarded_calls import Callers, guarded_server
from serve_app.front.haproxy import HEADER, PROTOCOL
from serve_app.front.replica_http import direct_app, start_server
from serve_app.protocol.messages import Metadata, RawMessage
from tests.support.front import SECRET_VALUE, Front, started, talk
from tests.support.guarded import KEY, TOKENS
from tests.support.ray_replica import eventually, ray_replica
from tests.support.running import free_ports

METHOD = "/qdrant.Points/Query"
TOLD = b"told: "
INTERNAL = "an internal error; the server's log has its origin"
CODES = {b"missing": grpc.StatusCode.NOT_FOUND, b"full": grpc.StatusCode.RESOURCE_EXHAUSTED}


async def rest(_: Any, __: Any, send: Any) -> None:
    """What requests that are no calls come to."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"rest"})


async def rests(_: Any, *asgi: Any) -> None:
    """The same of a replica."""
    await rest(*asgi)


async def is_not_well(_: Any, __: Any, ___: Any, send: Any) -> None:
    """What a replica that is to end says of itself."""
    await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Deployment(ASGIAppReplicaWrapper):
    """Answers with what it is asked; what it is asked to do is in the message."""

    def __init__(self) -> None:
        super().__init__(lambda: rest)
        self.running = Counter[str]()
        self.contexts: list[type] = []
        self.seen: Metadata = ()
        self.go_on = asyncio.Event()

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        self.contexts.append(type(context))
        self.seen = _passed_on(context.invocation_metadata())
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
        if message.data.startswith(TOLD):
            context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
            context.set_details(message.data[len(TOLD) :].decode())
            context.set_trailing_metadata([("a", "1"), ("a", "2, 3"), ("b", ""), ("b-bin", bytes(range(256)))])
            return RawMessage(message.method, b"")
        if message.data == b"fails":
            raise ValueError("why")
        return RawMessage(message.method, message.data * 2)

    def __del__(self) -> None: ...  # type: ignore[override]  # Ray Serve awaits the end of one, which nothing here does

    async def Query(self, request: RawMessage, grpc_context: Any) -> RawMessage:
        return await self.answer_call(request, grpc_context)


Answer = tuple[str, str, bytes, list[tuple[str, Any]]]
Call = Callable[..., Any]


@contextlib.asynccontextmanager
async def by_haproxy(
    replica: Any, callers: Callers | None = None, health: Any = rests, *, draining: bool = False
) -> AsyncIterator[Front]:
    """An HAProxy that hands calls to the replica's HTTP server, or to Ray Serve's for gRPC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rays.Replica, "_direct_ingress_asgi", health)  # HAProxy asks whether it is well
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
            haproxy = started(Front(Path(folder), port, others, draining=draining))
            front = await asyncio.to_thread(haproxy.__enter__)
            try:
                yield front
            finally:
                haproxy.__exit__(None, None, None)
    server.should_exit = True
    await task


@contextlib.asynccontextmanager
async def by_http(replica: Any) -> AsyncIterator[int]:
    """The port of such a HAProxy."""
    async with by_haproxy(replica) as front:
        yield front.grpc


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
    contexts = this._user_callable_wrapper.user_callable.contexts
    assert set(contexts) == ({RayServegRPCContext, CallContext} if directly else {RayServegRPCContext})
    assert this._metrics_manager.ended.count((METHOD, "OK", False)) == 4
    assert this._metrics_manager.ongoing == this._semaphore._value == this._num_queued_requests == 0


METADATA: list[tuple[str, str | bytes]] = [
    ("request_id", "the first"),
    ("request_id", "i"),
    ("api-key", "k"),
    ("many", "1"),
    ("many", "2"),
    ("empty", ""),
    ("commas", "a, b"),
    ("x-bin", b"\0\xff"),
    ("x-bin", b""),
    ("grpc-trace-bin", b"x"),
    ("user-agent", "me"),
    ("multiplexed_model_id", "m"),
    (HEADER, "the caller's"),
]
CALLS = [
    b"ab",
    b"",
    b"missing",
    b"fails",
    *(TOLD + one.encode() for one in ("", "100% \u00fc\u2603", "a\r\n\0\t~", "x" * 7000)),
]


async def test_a_caller_sees_no_difference_and_nor_does_the_ingress() -> None:
    told: list[list[Any]] = []
    for directly in (True, False):
        this = ray_replica(Deployment())
        deployment = this._user_callable_wrapper.user_callable
        async with served(this, directly=directly) as call:
            answers = [(*await call(message, *METADATA), list(deployment.seen)) for message in CALLS]
        code, details, *rest = answers[CALLS.index(b"fails")]
        assert (code, details) == ("INTERNAL", INTERNAL if directly else "why"), "ours keeps the log's to the log"
        told.append([answer if message != b"fails" else rest for message, answer in zip(CALLS, answers, strict=True)])
    assert told[0] == told[1]
    assert told[0][0][-1] == [(name, value) for name, value in METADATA[2:9]]


async def test_long_messages_and_many_of_them() -> None:
    """More calls at a time than one connection of HTTP/2 has, and unknown callers who never end."""
    this = ray_replica(Deployment(), running=1000)
    callers = GrpcCallers(Authenticator(environment.read(TOKENS)))
    key = [("api-key", KEY)]
    sent = []

    async def endless() -> AsyncIterator[bytes]:
        while len(sent) < 1000:
            sent.append(b"x" * 100_000)
            yield sent[-1]

    options = [("grpc.max_receive_message_length", -1)]
    async with by_haproxy(this, callers) as front:
        target = f"127.0.0.1:{front.grpc}"
        async with grpc.aio.insecure_channel(target, options, grpc.Compression.Gzip) as channel:
            ask = channel.unary_unary(METHOD)  # type: ignore[var-annotated]
            many = await asyncio.gather(*(ask(b"%d" % n * 100, metadata=key, timeout=60) for n in range(300)))
            assert many == [b"%d" % n * 200 for n in range(300)]
        async with grpc.aio.insecure_channel(target, options) as channel:
            ask = channel.unary_unary(METHOD)
            assert await ask(b"x" * 30_000_000, metadata=key, timeout=60) == b"x" * 60_000_000
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask(b"x" * 3_000_000, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.stream_unary(METHOD)(endless(), timeout=60)
            assert len(sent) < 20


@pytest.mark.parametrize("draining", [False, True])
async def test_what_haproxy_takes_for_a_call(*, draining: bool) -> None:
    this = ray_replica(Deployment())
    deployment = this._user_callable_wrapper.user_callable
    async with (
        by_haproxy(this, draining=draining) as front,
        grpc.aio.insecure_channel(f"127.0.0.1:{front.grpc}") as channel,
    ):

        async def ask(method: str, *metadata: tuple[str, str]) -> type:
            await channel.unary_unary(method)(b"", metadata=metadata, timeout=20)
            return deployment.contexts[-1]

        assert await ask(METHOD) is CallContext
        assert await ask(METHOD, (PROTOCOL, "x")) is CallContext
        assert await ask("/grpc.health.v1.Health/Check") is CallContext
        assert await ask(METHOD, ("application", "app"), (PROTOCOL, "grpc")) is RayServegRPCContext
        assert PROTOCOL not in dict(deployment.seen)
        if not draining:
            await channel.unary_unary("/ray.serve.RayServeAPIService/Healthz")(b"", timeout=20)
        head = f"POST {METHOD} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\n{PROTOCOL}: grpc\r\n"
        answer = await asyncio.to_thread(talk, front, head.encode() + b"content-length: 5\r\n\r\n\0\0\0\0\0")
        assert answer.endswith(b"\r\n\r\nrest"), "REST stays REST"


async def test_while_no_replica_is_up_calls_are_ray_serves() -> None:
    this = ray_replica(Deployment())
    contexts = this._user_callable_wrapper.user_callable.contexts
    async with (
        by_haproxy(this, health=is_not_well) as front,
        grpc.aio.insecure_channel(f"127.0.0.1:{front.grpc}") as channel,
    ):
        ask = channel.unary_unary(METHOD)  # type: ignore[var-annotated]
        while RayServegRPCContext not in contexts:
            assert await ask(b"ab", timeout=20) == b"abab"
            await asyncio.sleep(0.02)
        assert await ask(b"ab", timeout=20) == b"abab"
    assert contexts[-1] is RayServegRPCContext


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


async def test_a_replica_that_is_to_stop_waits_for_its_calls_and_answers_others_meanwhile() -> None:
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
