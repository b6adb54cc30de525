"""What a gRPC server of Ray Serve's reads of whom: all methods, over a real connection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from ray.serve._private.grpc_util import gRPCGenericServer, start_grpc_server
from ray.serve.config import gRPCOptions

from serve_app.api.grpc_callers import GrpcCallers
from serve_app.auth.access import Authenticator
from serve_app.auth.permissions import Permission, of_method
from serve_app.config import environment
from serve_app.front import guard
from serve_app.front.guarded_calls import guarded_server
from serve_app.front.haproxy import HEADER
from serve_app.protocol import grpc_services
from serve_app.protocol.grpc_services import request_class, response_class
from tests.support.guarded import BAD, KEY, KNOWN, TOKENS
from tests.support.running import free_ports

SECRET_VALUE = "a-secret-of-the-tests"
FRONT = (HEADER, SECRET_VALUE)
HEALTHZ = "/ray.serve.RayServeAPIService/Healthz"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
METHODS = sorted(grpc_services._METHODS)
JUNK = b"\x0a" * 1_000_000
"""No message, so that reading it would fail."""


class Served:
    """A server with the guard, and what it has read and answered."""

    def __init__(self, **variables: str) -> None:
        self.answered: list[str] = []
        self.read: list[str] = []
        callers = GrpcCallers(Authenticator(environment.read(variables)))
        self.looks = (
            lambda method, metadata: guard._refusal(SECRET_VALUE, callers, method, metadata),
            lambda method: guard._is_open(callers, method),
        )

    def factory(self, service_method: str, streaming_type: Any) -> Any:
        async def unary(_: Any, __: Any) -> bytes:
            self.answered.append(service_method)
            known = service_method in grpc_services._METHODS
            return response_class(service_method)().SerializeToString() if known else b""

        return unary

    def server_class(self) -> type[gRPCGenericServer]:
        served = self

        class Counting(guarded_server(gRPCGenericServer, *self.looks)):  # type: ignore[misc]
            def _override_method_handler(self, method: str, handler: Any) -> Any:
                def read(data: bytes) -> Any:
                    served.read += [method] if data else []
                    return handler.request_deserializer(data)

                return super()._override_method_handler(method, handler._replace(request_deserializer=read))

        return Counting


@contextlib.asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, **variables: str) -> AsyncIterator[Any]:
    served = Served(**variables)
    monkeypatch.setattr("ray.serve._private.grpc_util.gRPCGenericServer", served.server_class())
    (port,) = free_ports(1)
    options = gRPCOptions(port=port, grpc_servicer_functions=["serve_app.protocol.grpc_services.add_to_server"])
    loop = SimpleNamespace(create_task=lambda waiting: waiting.close())
    _, server = await start_grpc_server(served.factory, options, event_loop=loop)  # type: ignore[arg-type]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:

        async def call(method: str, message: bytes, *metadata: tuple[str, str]) -> tuple[str, str]:
            ask = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
            try:
                await ask(message, metadata=metadata, timeout=20)
            except grpc.aio.AioRpcError as error:
                return error.code().name, error.details() or ""
            return "OK", ""

        served.call, served.channel = call, channel  # type: ignore[attr-defined]
        yield served
    await server.stop(None)


async def test_nothing_is_read_of_who_has_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        for method in METHODS:
            for shown in BAD.values():
                code, _ = await served.call(method, JUNK, FRONT, *shown)
                assert code == ("OK" if of_method(method) is Permission.NOTHING else "UNAUTHENTICATED"), method
        assert served.read == []
        assert set(served.answered) == {m for m in METHODS if of_method(m) is Permission.NOTHING}


async def test_nothing_is_read_of_who_does_not_come_from_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        for method in METHODS:
            for shown in ([], [(HEADER, "x")], [(HEADER, "x"), FRONT], [FRONT, FRONT]):
                refused = "PERMISSION_DENIED", "this port is not for callers"
                assert await served.call(method, JUNK, ("api-key", KEY), *shown) == refused
        assert served.read == served.answered == []


async def test_haproxys_own_check_passes_without_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        assert await served.call(HEALTHZ, JUNK) == ("OK", "")
        assert (served.read, served.answered) == ([], [HEALTHZ])


@pytest.mark.parametrize("shown", KNOWN)
async def test_who_is_known_is_read_and_answered(monkeypatch: pytest.MonkeyPatch, shown: tuple[str, str]) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        for method in METHODS:
            message = request_class(method)()
            assert await served.call(method, message.SerializeToString(), FRONT, shown) == ("OK", "")
        assert served.answered == METHODS


async def test_without_keys_everybody_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch) as served:
        assert await served.call("/qdrant.Points/Upsert", b"\x0a\x01c", FRONT) == ("OK", "")
        assert served.read == ["/qdrant.Points/Upsert"]


async def test_reflection_needs_a_key_as_qdrants_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        ask = served.channel.stream_stream(REFLECTION, request_serializer=bytes, response_deserializer=bytes)
        # Nothing is sent: a message that meets the refusal is an error of the library's own, which hides it.
        assert await ask(metadata=[FRONT]).code() is grpc.StatusCode.UNAUTHENTICATED
        answers = [answer async for answer in ask([b"\x3a\x01*"], metadata=[FRONT, ("api-key", KEY)])]
        assert b"qdrant.Points" in answers[0]


async def test_what_is_not_there_is_unimplemented_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, **TOKENS) as served:
        for shown in ((), (FRONT,), (FRONT, ("api-key", KEY))):
            assert (await served.call("/qdrant.Points/None", JUNK, *shown))[0] == "UNIMPLEMENTED"
