"""The HTTP server of an ingress replica, over real sockets: what it has to do of HTTP/1.1, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import pytest

from serve_app.front.http_server import HttpServer
from tests.support.ray_replica import eventually

GET = b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n"


T = TypeVar("T")


async def soon(waiting: Awaitable[T]) -> T:
    return await asyncio.wait_for(waiting, 10)


class App:
    """Answers with what it was asked; some paths do other things."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.cancelled = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope)
        headers = [(b"content-type", b"text/plain")]
        match scope["path"]:
            case "/fails":
                raise ValueError("a secret")
            case "/waits":
                await self._wait()
            case "/stream":
                await _stream(send, fails=b"fails" in scope["query_string"])
                return
            case "/trailers":
                await _with_trailers(send, scope["query_string"])
                return
            case "/lies":
                headers.append((b"content-length", b"5"))
            case "/breaks":
                headers.append((b"x", b"a\r\nset-cookie: b"))
        body = await _whole(receive) if scope["path"] != "/early" else b""
        body = f"{scope['method']} {scope['path']} {len(body)}".encode()
        if scope["path"] != "/lies":
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _wait(self) -> None:
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def _whole(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def _stream(send: Any, *, fails: bool) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"ab", b"", b"c"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if fails:
        raise ValueError
    await send({"type": "http.response.body", "body": b""})


async def _with_trailers(send: Any, how: bytes) -> None:
    """An answer with trailers; `how` names what is the matter with it."""
    headers = [(b"content-length", b"2")] if how == b"length" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
    if how == b"parts":
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"" if how == b"empty" else b"bc"})
    if how == b"fails":
        raise ValueError
    if how != b"forgets":
        value = b"1\r\n\r\nHTTP/1.1 200 OK" if how == b"breaks" else b"1"
        await send({"type": "http.response.trailers", "headers": [(b"x-a", value), (b"x-b", b"")]})


class Running:
    """A server on a port of its own."""

    def __init__(self, **limits: Any) -> None:
        self.app = App()
        self.server = HttpServer(self.app, **{"keep_alive_s": 60, **limits})
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.task = asyncio.get_running_loop().create_task(self.server.serve(listening))
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        return reader, writer

    async def end(self) -> None:
        self.server.should_exit = True
        for writer in self._writers:
            writer.close()
        await soon(self.task)

    async def raw(self, sent: bytes) -> bytes:
        """All that comes back until the server closes the connection."""
        reader, writer = await self.connect()
        writer.write(sent)
        return await soon(reader.read())


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    yield running
    await running.end()
    assert not running.server.connections


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """The status line, the headers and the body of an answer whose length is told."""
    head = await soon(reader.readuntil(b"\r\n\r\n"))
    line, *lines = head.rstrip().split(b"\r\n")
    headers = {name: value for name, _, value in (one.partition(b": ") for one in lines)}
    return line, headers, await soon(reader.readexactly(int(headers.get(b"content-length", 0))))


async def test_one_connection_carries_many_requests(running: Running) -> None:
    reader, writer = await running.connect()
    for path in (b"/a", b"/b%20c?d=e"):
        writer.write(GET % path)
        line, headers, _ = await answer(reader)
        assert line == b"HTTP/1.1 200 OK"
        assert headers[b"date"].endswith(b" GMT")
        assert b"connection" not in headers
    scope = running.app.asked[1]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/b c", b"/b%20c", b"d=e")
    assert scope["headers"] == [(b"host", b"a")]


async def test_requests_in_one_go_are_answered_in_their_order(running: Running) -> None:
    reader, writer = await running.connect()
    post = b"POST /post HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
    chunked = (
        b"PUT /put HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-late: 1\r\n\r\n"
    )
    writer.write(post + GET % b"/get" + chunked)
    assert [(await answer(reader))[2] for _ in "123"] == [b"POST /post 3", b"GET /get 0", b"PUT /put 3"]
    assert b"x-late" not in dict(running.app.asked[2]["headers"]), "what comes behind a body is no header"


async def test_a_long_body_comes_in_whole_and_waits_for_the_app(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"POST /waits HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000\r\n\r\n")
    writer.write(b"x" * 4_000_000)
    (connection,) = running.server.connections
    await eventually(lambda: not connection.transport.is_reading())
    running.app.goes_on.set()
    assert (await answer(reader))[2] == b"POST /waits 4000000"


async def test_an_early_answer_leaves_the_connection_to_the_next_request(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n" + b"x" * 100_000)
    assert (await answer(reader))[2] == b"POST /early 0"
    writer.write(b"x" * 200_000 + GET % b"/next")
    assert (await answer(reader))[2] == b"GET /next 0"


async def test_who_asks_whether_to_go_on_is_told(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 1\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"x")
    assert (await answer(reader))[2] == b"POST /a 1"


async def test_who_is_answered_without_having_been_told_to_go_on_is_hung_up_on(running: Running) -> None:
    got = await running.raw(b"POST /early HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
    assert b"connection: close\r\n" in got
    assert got.endswith(b"POST /early 0")


async def test_bodies_of_unknown_length(running: Running) -> None:
    chunked = await running.raw(GET.replace(b"host: a", b"connection: close") % b"/stream")
    assert chunked.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in chunked
    old = await running.raw(b"GET /stream HTTP/1.0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nabc")
    assert b"chunked" not in old


TRAILERS = b"0\r\nx-a: 1\r\nx-b: \r\n\r\n"


@pytest.mark.parametrize(
    ("how", "body"),
    [(b"", b"2\r\nbc\r\n"), (b"empty", b""), (b"parts", b"1\r\na\r\n2\r\nbc\r\n")],
)
async def test_trailers_end_an_answer_and_not_its_connection(running: Running, how: bytes, body: bytes) -> None:
    reader, writer = await running.connect()
    writer.write(GET % (b"/trailers?" + how) + GET % b"/next")
    head, _, rest = (await soon(reader.readuntil(b"x-b: \r\n\r\n"))).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert rest == body + TRAILERS
    assert (await answer(reader))[2] == b"GET /next 0"


@pytest.mark.parametrize("how", [b"forgets", b"fails", b"breaks"])
async def test_an_answer_without_the_trailers_it_promised_is_none(running: Running, how: bytes) -> None:
    reader, writer = await running.connect()
    writer.write(GET % (b"/trailers?" + how) + GET % b"/next")
    with contextlib.suppress(ConnectionResetError):
        assert await soon(reader.read()) == b""
    assert len(running.app.asked) == 1


async def test_who_cannot_have_trailers_has_the_body(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"HEAD /trailers HTTP/1.1\r\nhost: a\r\n\r\n" + GET % b"/trailers?length" + GET % b"/next")
    assert b"x-a" not in await soon(reader.readuntil(b"\r\n\r\n"))
    assert (await answer(reader))[2] == b"bc"
    assert (await answer(reader))[2] == b"GET /next 0"
    old = await running.raw(b"GET /trailers HTTP/1.0\r\n\r\n")
    assert old.endswith(b"\r\n\r\nbc")


async def test_an_answer_to_head_has_no_body(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n" + GET % b"/b")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"content-length: 9\r\n" in head
    assert (await answer(reader))[2] == b"GET /b 0"


@pytest.mark.parametrize(
    ("path", "end"),
    [(b"/fails", b"500 Internal Server Error"), (b"/breaks", b"500 Internal Server Error"), (b"/lies", b"200 OK")],
)
async def test_what_the_app_does_wrong_ends_the_connection(
    running: Running, caplog: pytest.LogCaptureFixture, path: bytes, end: bytes
) -> None:
    got = await running.raw(GET % path)
    assert got.startswith(b"HTTP/1.1 " + end)
    assert b"set-cookie" not in got
    assert "secret" not in caplog.text
    assert (await running.raw(GET % path + GET % b"/next")).count(b"HTTP/1.1") == 1


async def test_an_answer_that_breaks_off_is_not_ended(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(GET % b"/stream?fails")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"rubbish\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"GET /a HTTP/1.1\r\nhost : a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused(running: Running, rubbish: bytes) -> None:
    got = await running.raw(rubbish)
    assert got.startswith(b"HTTP/1.1 400 Bad Request")
    assert b'{"status": {"error": ' in got
    assert running.app.asked == []


async def test_rubbish_behind_a_request_does_not_reach_its_answer(running: Running) -> None:
    got = await running.raw(GET % b"/a" + GET % b"/b" + b"rubbish\r\n\r\n")
    assert got.endswith(b"GET /b 0")
    assert (got.count(b"HTTP/1.1"), got.count(b"connection: close")) == (2, 1)


async def test_a_body_that_turns_out_to_be_none_ends_the_request(running: Running) -> None:
    head = b"POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    assert await running.raw(head + b"zz\r\n") == b""


async def test_an_upgrade_is_a_request_like_others_and_the_last(running: Running) -> None:
    upgrade = b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    got = await running.raw(upgrade + GET % b"/b")
    assert got.endswith(b"GET /a 0")
    assert [scope["type"] for scope in running.app.asked] == ["http"]


async def test_who_hangs_up_has_the_app_cancelled(running: Running) -> None:
    _, writer = await running.connect()
    writer.write(GET % b"/waits")
    await eventually(lambda: bool(running.app.asked))
    writer.close()
    await soon(running.app.cancelled.wait())


async def test_what_takes_too_long_ends_with_408() -> None:
    running = Running(request_timeout_s=0.1)
    assert (await running.raw(GET % b"/waits")).startswith(b"HTTP/1.1 408 Request Timeout")
    await running.end()


async def test_idle_connections_are_closed() -> None:
    running = Running(keep_alive_s=0.1)
    reader, writer = await running.connect()
    writer.write(GET % b"/a")
    await answer(reader)
    assert await soon(reader.read()) == b""
    await running.end()


async def test_at_the_end_what_is_under_way_is_answered_and_nothing_else_taken() -> None:
    running = Running()
    busy, busy_writer = await running.connect()
    idle, idle_writer = await running.connect()
    idle_writer.write(GET % b"/a")
    await answer(idle)
    busy_writer.write(GET % b"/waits")
    await eventually(lambda: len(running.app.asked) == 2)
    running.server.should_exit = True
    assert await soon(idle.read()) == b""
    with pytest.raises(ConnectionRefusedError):
        await running.connect()
    assert not running.task.done()
    running.app.goes_on.set()
    _, headers, body = await answer(busy)
    assert (headers[b"connection"], body) == (b"close", b"GET /waits 0")
    await running.end()


async def test_cut_short_it_cuts_its_connections() -> None:
    running = Running()
    reader, writer = await running.connect()
    writer.write(GET % b"/waits")
    await eventually(lambda: bool(running.app.asked))
    running.task.cancel()
    await soon(running.app.cancelled.wait())
    with contextlib.suppress(ConnectionResetError):
        assert await soon(reader.read()) == b""
    writer.close()


async def test_a_slow_reader_holds_up_the_app_and_nobody_else(running: Running) -> None:
    reader, writer = await running.connect()
    many = 3000
    writer.write(GET % (b"/" + b"a" * 4000) * many)  # their answers have as much
    await asyncio.sleep(0.3)
    assert len(running.app.asked) < many
    other, other_writer = await running.connect()
    other_writer.write(GET % b"/b")
    assert (await answer(other))[2] == b"GET /b 0"
    for _ in range(many):
        assert (await answer(reader))[0] == b"HTTP/1.1 200 OK"
