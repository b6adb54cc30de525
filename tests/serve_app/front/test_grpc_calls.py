"""Calls as an ingress replica is handed them, with HAProxy left out: what is read of whom, and how each ends."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import math
import socket
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import grpc
import pytest

from serve_app.api.grpc_callers import GrpcCallers
from serve_app.auth.access import Authenticator
from serve_app.auth.permissions import Permission, of_method
from serve_app.config import environment
from serve_app.front import grpc_calls
from serve_app.front.grpc_calls import GrpcCalls
from serve_app.front.guard import OnlyFromTheFront
from serve_app.front.haproxy import HEADER
from serve_app.front.http_server import HttpServer
from serve_app.protocol import grpc_services
from serve_app.protocol.messages import RawMessage
from tests.support.guarded import BAD, KEY, KNOWN, TOKENS
from tests.support.ray_replica import eventually, ray_replica

METHOD = "/qdrant.Points/Query"
METHODS = sorted(grpc_services._METHODS)
TYPE = (b"content-type", b"application/grpc")
SECRET_VALUE = "a-secret-of-the-tests"
FRONT = (HEADER, SECRET_VALUE)
LIMIT = 10_000
"""Bytes of a message, for these tests."""

CODES = {code.value[0]: code.name for code in grpc.StatusCode}


@pytest.fixture(autouse=True)
def _short_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_calls, "GRPC_MAX_BYTES", LIMIT)


class Deployment:
    """Answers with what it is asked, or does what the message says."""

    def __init__(self) -> None:
        self.asked: list[RawMessage] = []
        self.waiting = Counter[str]()
        self.go_on = asyncio.Event()

    async def answer_call(self, message: RawMessage, context: Any) -> RawMessage:
        self.asked.append(message)
        match message.data:
            case b"fails":
                raise ValueError("a secret")
            case b"wrong":
                context.set_code(grpc.StatusCode.NOT_FOUND)
                context.set_details("100% ☃\r\n")
                context.set_trailing_metadata([("a", "1"), ("b-bin", b"\0")])
                return RawMessage(message.method, b"nothing")
            case b"breaks":
                context.set_trailing_metadata([("a", "1\r\ngrpc-status: 0")])
            case b"wait":
                self.waiting["now"] += 1
                try:
                    await self.go_on.wait()
                except asyncio.CancelledError:
                    self.waiting["cancelled"] += 1
                    raise
        return message


class Answer(NamedTuple):
    """What came back, and of how many parts of the body."""

    status: int
    code: str
    details: str
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    read: int


class Calls:
    """The calls of a replica."""

    def __init__(self, variables: dict[str, str] | None = None, **limits: Any) -> None:
        self.deployment = Deployment()
        self.replica = ray_replica(self.deployment, **limits)
        callers = GrpcCallers(Authenticator(environment.read(variables))) if variables is not None else None
        self.app = GrpcCalls(self.deployment, callers, self.replica)

    @property
    def ended(self) -> list[str]:
        assert self.replica._metrics_manager.ongoing == self.replica._semaphore._value == 0
        assert self.replica._num_queued_requests == 0
        return [status for _, status, _ in self.replica._metrics_manager.ended]

    async def ask(
        self,
        parts: Sequence[bytes],
        *metadata: tuple[str, str],
        path: str = METHOD,
        method: str = "POST",
        kind: tuple[bytes, bytes] = TYPE,
        guarded: bool = False,
    ) -> Answer:
        """The answer to a call whose body comes in these parts."""
        headers = [kind, *((name.encode(), value.encode("latin-1")) for name, value in metadata)]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        left, told = list(parts), list[Any]()

        async def receive() -> Any:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:
            told.append(message)

        app: Any = OnlyFromTheFront(self.app, SECRET_VALUE) if guarded else self.app
        try:
            await app(scope, receive, send)
        except ValueError:
            assert told, "the server would say 500"
        head, *rest = told
        trailers = list(rest[-1].get("headers", ()))
        shown = dict(trailers)
        code = CODES[int(shown[b"grpc-status"])] if shown else ""
        details = unquote(shown.get(b"grpc-message", b"").decode())
        body = b"".join(one.get("body", b"") for one in rest)
        return Answer(head["status"], code, details, body, trailers[2 if details else 1 :], len(parts) - len(left))


def framed(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("message", [b"", b"ab", b"x" * LIMIT])
@pytest.mark.parametrize("cut", [1, 3, 5, 6, LIMIT])
async def test_a_message_may_come_in_any_parts(message: bytes, cut: int) -> None:
    calls, whole = Calls(), framed(message)
    parts = [b"", *(whole[i : i + cut] for i in range(0, len(whole), cut)), b""]
    answer = await calls.ask(parts, ("request_id", "a"), ("request_id", "b"))
    assert answer[:5] == (200, "OK", "", whole, [(b"request_id", b"b")])
    assert calls.ended == ["OK"]


@pytest.mark.parametrize(
    ("parts", "code", "details"),
    [
        ([b""], "INTERNAL", "there is no message"),
        ([b"\0\0", b"\0\0"], "INTERNAL", "there is no message"),
        ([b"{}" * 9], "INTERNAL", "a message begins with 0 or 1, and not with 123"),
        ([framed(b"abc")[:-1]], "INTERNAL", "the message ends too early"),
        ([b"\0\0\0\0\1", b""], "INTERNAL", "the message ends too early"),
        ([framed(b"abc") + b"d"], "INTERNAL", "the call goes on after its message"),
        ([framed(b"abc"), framed(b"d")], "INTERNAL", "the call goes on after its message"),
        ([framed(b"abc"), *[b"x" * 100] * 99], "INTERNAL", "the call goes on after its message"),
        ([framed(b"x" * (LIMIT + 1))[:100], b"x"], "RESOURCE_EXHAUSTED", f"a message may have {LIMIT} bytes"),
        ([b"\0\xff\xff\xff\xff"], "RESOURCE_EXHAUSTED", f"a message may have {LIMIT} bytes"),
        ([framed(b"abc", 1)], "INTERNAL", "the message is compressed, and grpc-encoding does not say how"),
    ],
)
async def test_what_is_not_one_message(parts: list[bytes], code: str, details: str) -> None:
    calls = Calls()
    answer = await calls.ask(parts)
    assert answer[:5] == (200, code, details, b"", [])
    assert answer.read <= 2
    assert (calls.deployment.asked, calls.ended) == ([], [code])


gzipped = partial(gzip.compress, mtime=0)
"""The same bytes in each process, since tests are named after them."""


@pytest.mark.parametrize(
    ("encoding", "body", "code", "details"),
    [
        ("gzip", framed(gzipped(b"ab"), 1), "OK", ""),
        ("deflate", framed(zlib.compress(b"ab"), 1), "OK", ""),
        ("gzip", framed(b"ab"), "OK", ""),
        ("snappy", framed(b"ab"), "OK", ""),
        ("snappy", framed(b"ab", 1), "UNIMPLEMENTED", "grpc-encoding: expected deflate or gzip"),
        ("gzip", framed(b"ab", 1), "INTERNAL", "the body is not gzip"),
        ("gzip", framed(b"", 1), "INTERNAL", "the body's gzip ends too early"),
        ("gzip", framed(zlib.compress(b"ab"), 1), "INTERNAL", "the body is not gzip"),
        ("gzip", framed(gzipped(b"ab")[:-1], 1), "INTERNAL", "the body's gzip ends too early"),
        ("gzip", framed(gzipped(b"ab") * 2, 1), "INTERNAL", "the body goes on after the end of its gzip"),
        ("gzip", framed(gzipped(b"a" * (LIMIT + 1)), 1), "RESOURCE_EXHAUSTED", f"a message may have {LIMIT}"),
        ("deflate", framed(zlib.compress(b"a" * 5_000_000), 1), "RESOURCE_EXHAUSTED", f"a message may have {LIMIT} b"),
    ],
)
async def test_compressed_messages(encoding: str, body: bytes, code: str, details: str) -> None:
    calls = Calls()
    answer = await calls.ask([body], ("grpc-encoding", encoding))
    assert (answer.code, answer.details[: len(details)]) == (code, details)
    assert (answer.body, len(calls.deployment.asked)) == ((framed(b"ab"), 1) if code == "OK" else (b"", 0))
    assert calls.ended == [code]


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (b"application/grpc", "POST", 200),
        (b"application/grpc+proto", "POST", 200),
        (b"application/grpc;charset=utf-8", "POST", 200),
        (b"application/grpc+json", "POST", 415),
        (b"application/grpc-web", "POST", 415),
        (b"application/json", "POST", 415),
        (b"", "POST", 415),
        (b"application/grpc", "GET", 415),
        (b"application/grpc", "HEAD", 415),
    ],
)
async def test_what_is_no_call_of_grpcs(kind: bytes, method: str, status: int) -> None:
    answer = await Calls().ask([framed(b"a")], method=method, kind=(b"content-type", kind))
    assert (answer.status, answer.read) == (status, 1 if status == 200 else 0)


async def test_how_a_call_ends_is_told_as_grpc_has_it() -> None:
    calls = Calls()
    answer = await calls.ask([framed(b"wrong")], ("request_id", "i"))
    trailers = [(b"request_id", b"i"), (b"a", b"1"), (b"b-bin", b"AA")]
    assert answer[:5] == (200, "NOT_FOUND", "100% ☃\r\n", b"", trailers)
    for message in (b"fails", b"breaks"):
        hidden = "an internal error; the server's log has its origin"
        assert (await calls.ask([framed(message)]))[:5] == (200, "INTERNAL", hidden, b"", [])
    assert calls.ended == ["OK", "UNKNOWN", "OK"]


@pytest.mark.parametrize(
    "metadata", [("a", "\xfc"), ("a", "b\tc"), ("x-bin", "?"), ("grpc-timeout", "1"), ("grpc-timeout", "123456789S")]
)
async def test_headers_that_are_not_as_grpc_has_them_are_refused_before_the_message(metadata: tuple[str, str]) -> None:
    answer = await Calls().ask([framed(b"ab")], metadata)
    assert (answer.code, answer.read) == ("INVALID_ARGUMENT", 0)


async def test_nothing_is_read_of_who_has_no_credential() -> None:
    calls = Calls(TOKENS)
    for method in METHODS:
        for shown in BAD.values():
            answer = await calls.ask([b"junk"], FRONT, *shown, path=method, guarded=True)
            assert answer.code == ("OK" if of_method(method) is Permission.NOTHING else "UNAUTHENTICATED"), method
            assert answer.read == 0
    assert {one.data for one in calls.deployment.asked} == {b""}
    assert {one.method for one in calls.deployment.asked} == {m for m in METHODS if of_method(m) is Permission.NOTHING}


async def test_nothing_is_read_of_who_does_not_come_from_the_front() -> None:
    calls = Calls(TOKENS)
    for method in METHODS:
        for shown in ([], [(HEADER, "x")], [(HEADER, "x"), FRONT], [FRONT, FRONT]):
            answer = await calls.ask([b"junk"], ("api-key", KEY), *shown, path=method, guarded=True)
            assert (answer.status, answer.read) == (421, 0)
    assert calls.deployment.asked == []


@pytest.mark.parametrize("shown", KNOWN)
async def test_who_is_known_is_read_and_answered(shown: tuple[str, str]) -> None:
    calls = Calls(TOKENS)
    for method in METHODS:
        answer = await calls.ask([framed(b"ab")], FRONT, shown, path=method, guarded=True)
        assert (answer.code, answer.read) == ("OK", of_method(method) is not Permission.NOTHING)
    assert [one.method for one in calls.deployment.asked] == METHODS


async def test_without_keys_everybody_is_read() -> None:
    answer = await Calls({}).ask([framed(b"ab")], path="/qdrant.Points/Upsert")
    assert (answer.code, answer.read) == ("OK", 1)


async def test_what_is_not_there_is_unimplemented_for_everybody() -> None:
    calls = Calls(TOKENS)
    for path in ("/qdrant.Points/None", "/qdrant.", "/grpc.health.v1.Health/Watch", METHOD + "/"):
        for shown in ((), (("api-key", KEY),)):
            answer = await calls.ask([b"junk"], *shown, path=path)
            assert (answer.code, answer.read) == ("UNIMPLEMENTED", 0)


@pytest.mark.parametrize("timeout", ["0n", "1n", "0S", "30m"])
async def test_a_callers_time_ends_its_call(timeout: str) -> None:
    calls = Calls()
    answer = await calls.ask([framed(b"wait")], ("grpc-timeout", timeout))
    assert (answer.code, answer.details) == ("DEADLINE_EXCEEDED", "Deadline Exceeded")
    assert (calls.deployment.waiting["cancelled"], calls.ended) == (1, ["DEADLINE_EXCEEDED"])


async def test_a_callers_time_runs_while_its_call_waits_for_its_turn_or_its_message() -> None:
    calls = Calls(running=1)
    first = asyncio.create_task(calls.ask([framed(b"wait")], ("grpc-timeout", "99999999H")))
    await eventually(lambda: calls.deployment.waiting["now"] == 1)
    answer = await calls.ask([framed(b"wait")], ("grpc-timeout", "30m"))
    assert (answer.code, answer.read) == ("DEADLINE_EXCEEDED", 0)
    calls.deployment.go_on.set()
    assert (await first).code == "OK"
    assert calls.ended == ["OK"]


@pytest.mark.parametrize("limit_s", [None, 0, math.inf])
async def test_a_service_without_a_limit_of_time(limit_s: float | None) -> None:
    assert (await Calls(timeout_s=limit_s).ask([framed(b"ab")])).code == "OK"


async def test_a_caller_has_no_more_time_than_the_service_gives() -> None:
    calls = Calls(timeout_s=0.03)
    answer = await calls.ask([framed(b"wait")], ("grpc-timeout", "1H"))
    assert answer[1:3] == ("DEADLINE_EXCEEDED", "Request timed out after 0.03s.")


HEAD = b"\r\n".join(
    [
        b"POST /qdrant.Points/Query HTTP/1.1",
        b"host: a",
        b"content-type: application/grpc",
        b"transfer-encoding: chunked",
        b"\r\n",
    ]
)
WAITS = HEAD + b"9\r\n" + framed(b"wait") + b"\r\n0\r\n\r\n"


@contextlib.asynccontextmanager
async def connected(
    calls: Calls, request_timeout_s: float | None = None
) -> AsyncIterator[tuple[HttpServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server of a replica."""
    server = HttpServer(calls.app, 60, request_timeout_s)
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(listening))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    yield server, reader, writer
    server.should_exit = True
    writer.close()
    await asyncio.wait_for(task, 20)


async def test_the_time_of_the_replicas_server_ends_a_call_as_one() -> None:
    calls = Calls()
    async with connected(calls, request_timeout_s=0.1) as (_, reader, writer):
        writer.write(WAITS)
        head, _, rest = (await asyncio.wait_for(reader.readuntil(b"0\r\n"), 20)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n")
        assert rest == b"0\r\n"
        trailers = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert trailers == b"grpc-status: 4\r\ngrpc-message: the answer took longer than any may\r\n\r\n"
    assert (calls.deployment.waiting["cancelled"], calls.ended) == (1, ["CANCELLED"])


async def test_a_replica_that_ends_answers_the_calls_it_has() -> None:
    calls = Calls()
    async with connected(calls) as (server, reader, writer):
        writer.write(WAITS)
        await eventually(lambda: calls.deployment.waiting["now"] == 1)
        server.should_exit = True
        await asyncio.sleep(0.05)
        calls.deployment.go_on.set()
        answer = await asyncio.wait_for(reader.read(), 20)
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\n9\r\n" + framed(b"wait") + b"\r\n0\r\ngrpc-status: 0\r\n" in answer


async def test_who_hangs_up_in_the_middle_of_a_message_is_forgotten() -> None:
    calls = Calls()
    async with connected(calls) as (_, _, writer):
        writer.write(HEAD + b"6\r\n\0\0\0\0\4w\r\n")
        await eventually(lambda: calls.replica._metrics_manager.ongoing == 1)
        writer.close()
        await eventually(lambda: calls.replica._metrics_manager.ongoing == 0)
    assert (calls.deployment.asked, calls.ended) == ([], ["CANCELLED"])
