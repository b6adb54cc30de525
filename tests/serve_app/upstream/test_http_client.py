"""The HTTP client, against a server that says exactly what a test tells it to, byte for byte."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from typing_extensions import Self
from yarl import URL

from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Body, Request, read
from serve_app.upstream import http_client
from serve_app.upstream.base import BrokenOffError
from serve_app.upstream.http_client import HttpClient, NotSentError, TimeOverError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CLOSE = b""
"""In a script: hang up."""


@dataclass
class Scripted:
    """Each request, on whatever connection, is answered with the next of `answers`; `heads` and `bodies` are kept."""

    answers: list[bytes]
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    client: Any = None

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.client = HttpClient(URL(f"http://127.0.0.1:{self.port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed += 1
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self.bodies.append(await _body(head, reader))
        writer.write(answer := self.answers.pop(0))
        await writer.drain()
        if answer == CLOSE or b"connection: close" in answer:
            raise ConnectionError

    async def ask(self, method: str = "GET", body: Body = b"", headers: Any = ()) -> tuple[int, bytes | None]:
        answer = await self.client.send(Request(method, "/x", "", list(headers), body))
        return answer.status, await read(answer.body)


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if b"transfer-encoding: chunked" in head:
        return await reader.readuntil(b"0\r\n\r\n")
    _, found, rest = head.partition(b"content-length: ")
    return await reader.readexactly(int(rest.partition(b"\r\n")[0])) if found else b""


async def parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with Scripted([OK] * 3) as server:
        for _ in range(3):
            assert await server.ask() == (200, b"ok")
        assert server.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with Scripted([OK] * 8) as server:
        assert await asyncio.gather(*(server.ask() for _ in range(4))) == [(200, b"ok")] * 4
        assert await asyncio.gather(*(server.ask() for _ in range(4))) == [(200, b"ok")] * 4
        assert server.connections == 4


ANSWERS = {
    "chunked": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n",
        200,
        b"okay!",
    ),
    "until the end of the connection": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it", 200, b"all of it"),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "after an informational one": (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + OK, 200, b"ok"),
    "a failure": (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", 500, b""),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_read_to_its_end(kind: str) -> None:
    answer, status, body = ANSWERS[kind]
    async with Scripted([answer, OK]) as server:
        assert await server.ask() == (status, body)
        assert await server.ask() == (200, b"ok")
        assert server.connections == 1 + (b"close" in answer)


@pytest.mark.parametrize(
    "surplus",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-of: another\r\n\r\nsecret",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n",
        b"no HTTP at all",
        b"\0",
    ],
)
@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
async def test_what_comes_after_an_answer_is_no_part_of_it_nor_of_the_next(answer: bytes, surplus: bytes) -> None:
    async with Scripted([answer + surplus, OK]) as server:
        first = await server.client.send(Request("GET", "/x", "", [], b""))
        assert (first.status, await read(first.body)) == (200, b"ok")
        assert b"x-of" not in dict(first.headers)
        assert await server.ask() == (200, b"ok")
        assert server.connections == 2


async def test_an_answer_to_head_with_a_body_all_the_same_ends_its_connection() -> None:
    async with Scripted([OK, OK]) as server:
        answer = await server.client.send(Request("HEAD", "/", "", [], b""))
        assert answer.body == b""
        assert await server.ask() == (200, b"ok")
        assert server.connections == 2


async def test_a_server_that_speaks_something_else_from_now_on_is_not_understood() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
    async with Scripted([switching]) as server:
        with pytest.raises(BrokenOffError):
            await server.ask("POST")


async def test_what_follows_a_chunked_body_is_no_header() -> None:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nset-cookie: a=b\r\n\r\n"
    async with Scripted([answer]) as server:
        assert (await server.client.send(Request("GET", "/x", "", [], b""))).headers == []


async def test_headers_that_end_at_a_hop_end_here_in_both_directions() -> None:
    hop = {"connection": "x-Own, keep-alive", "x-own": "1", "proxy-authenticate": "Basic", "keep-alive": "timeout=5"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in hop.items()).encode()
    async with Scripted([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-kept: 1\r\n" + lines + b"\r\nok"]) as server:
        sent = [(name.encode(), value.encode()) for name, value in hop.items()]
        answer = await server.client.send(Request("GET", "/x", "", [*sent, (b"x-other", b"1")], b""))
        assert sorted(name for name, _ in answer.headers) == [b"content-length", b"x-kept"]
        seen = {line.partition(b":")[0] for line in server.heads[0].splitlines()[1:] if line}
        assert seen == {b"host", b"x-other"}


async def test_a_caller_cannot_have_its_credential_or_its_bodys_length_dropped() -> None:
    headers = [(b"connection", b"content-length, api-key"), (b"content-length", b"2"), (b"api-key", b"k")]
    async with Scripted([OK]) as server:
        assert await server.ask("POST", b"{}", headers) == (200, b"ok")
        assert b"content-length: 2" in server.heads[0]
        assert b"api-key: k" in server.heads[0]


async def test_an_answer_to_head_has_no_body_whatever_it_announces() -> None:
    async with Scripted([b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", OK]) as server:
        answer = await server.client.send(Request("HEAD", "/", "", [], b""))
        assert (answer.headers, answer.body) == ([(b"content-length", b"1000")], b"")
        assert await server.ask() == (200, b"ok")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nconnection: close",
        b"no HTTP at all, connection: close\r\n\r\n",
        CLOSE,
    ],
)
async def test_an_answer_that_breaks_off_is_an_error(answer: bytes) -> None:
    async with Scripted([answer]) as server:
        with pytest.raises(BrokenOffError):
            await server.ask("POST")


async def test_a_server_that_is_not_there_has_seen_nothing() -> None:
    with pytest.raises(NotSentError):
        await HttpClient(URL("http://127.0.0.1:9")).send(Request("GET", "/", "", [], b""))


async def test_a_request_is_sent_again_only_where_that_is_safe() -> None:
    """The server hangs up on the second request of a connection, as one does that was restarted."""
    async with Scripted([OK, CLOSE, OK]) as server:
        await server.ask()
        assert await server.ask("PUT", b"{}") == (200, b"ok")
        assert (server.connections, server.bodies) == (2, [b"", b"{}", b"{}"])
    for body in (b"{}", parts(b"{}")):
        async with Scripted([OK, CLOSE, OK]) as server:
            await server.ask()
            with pytest.raises(BrokenOffError):
                await server.ask("POST", body)
            assert len(server.heads) == 2
    async with Scripted([CLOSE, OK]) as server:  # a new connection: the server saw the request
        with pytest.raises(BrokenOffError):
            await server.ask("PUT", b"{}")


async def test_a_connection_that_nobody_used_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "_IDLE_S", 0.01)
    async with Scripted([OK, OK]) as server:
        await server.ask()
        await asyncio.sleep(0.02)
        await server.ask()
        assert server.connections == 2


async def test_a_body_without_a_length_goes_in_chunks() -> None:
    async with Scripted([OK, OK]) as server:
        await server.ask("POST", parts(b"ab", b"", b"c" * 17))
        await server.ask("POST", parts(b"ab", b"cde"), [(b"content-length", b"5")])
        assert server.bodies == [b"2\r\nab\r\n11\r\nccccccccccccccccc\r\n0\r\n\r\n", b"abcde"]
        assert server.connections == 1


async def test_headers_of_the_hop_stay_and_all_others_pass() -> None:
    async with Scripted([OK, OK]) as server:
        headers = [
            (b"host", b"gateway"),
            (b"connection", b"x-hop"),
            (b"x-hop", b"1"),
            (b"te", b"trailers"),
            (b"X-Odd", b"1"),
            (b"a", b""),
        ]
        await server.ask("GET", headers=headers)
        assert (
            server.heads[0] == f"GET /x HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nx-odd: 1\r\na: \r\n\r\n".encode()
        )


async def test_names_of_an_answers_headers_are_in_lower_case() -> None:
    async with Scripted([b"HTTP/1.1 200 OK\r\nServer: A\r\nContent-Length: 2\r\n\r\nok"]) as server:
        answer = await server.client.send(Request("GET", "/x", "", [], b""))
    assert list(answer.headers) == [(b"server", b"A"), (b"content-length", b"2")]


async def test_the_addresses_path_and_credentials_go_along() -> None:
    async with Scripted([OK, OK]) as server:
        client = HttpClient(URL(f"http://me:se%20cret@127.0.0.1:{server.port}/base/"))
        await client.send(Request("GET", "/x%2Fy", "a=%C3%A4", [], b""))
        await client.send(Request("GET", "/", "", [(b"authorization", b"Bearer own")], b""))
        client.close()
        first, second = server.heads
        assert first.startswith(b"GET /base/x%2Fy?a=%C3%A4 HTTP/1.1\r\n")
        assert b"authorization: Basic bWU6c2UgY3JldA==\r\n" in first
        assert b"Basic" not in second
        assert b"authorization: Bearer own\r\n" in second


async def test_an_answer_before_the_end_of_the_body_ends_the_sending() -> None:
    """A server may refuse what is too large without reading it."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 100_000

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    client = HttpClient(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    answer = await asyncio.wait_for(client.send(Request("PUT", "/", "", [], endless())), 10)
    assert (answer.status, await read(answer.body)) == (413, b"no!")
    so_far = sent
    await asyncio.sleep(0.05)
    assert sent == so_far
    server.close()


async def test_a_body_that_fails_takes_the_connection_with_it() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"first"
        raise LookupError("the caller is gone")

    async with Scripted([OK]) as server:
        with pytest.raises(LookupError):
            await server.ask("POST", failing())
        await _until(lambda: server.closed == 1)


async def test_an_answer_that_nobody_reads_waits_at_the_server_and_then_takes_the_connection_with_it() -> None:
    size = 50_000_000
    async with Scripted([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size]) as server:
        answer = await server.client.send(Request("GET", "/", "", [], b""))
        await asyncio.sleep(0.1)
        connection = answer.body._connection
        assert connection._waiting_bytes < 10 * http_client._BUFFERED
        del answer, connection
        await _until(lambda: server.closed == 1)


async def test_a_long_answer_is_read_whole_by_a_slow_reader() -> None:
    size = 5_000_000
    async with Scripted([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size, OK]) as server:
        answer = await server.client.send(Request("GET", "/", "", [], b""))
        read_bytes = 0
        async for part in answer.body:
            read_bytes += len(part)
            await asyncio.sleep(0.001)
        assert read_bytes == size
        assert await server.ask() == (200, b"ok")
        assert server.connections == 1


async def test_a_request_that_is_cancelled_ends_its_connection() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()
        writer.close()

    closed = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = HttpClient(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.send(Request("GET", "/", "", [], b"")), 0.05)
    await asyncio.wait_for(closed.wait(), 5)
    server.close()


def within(seconds: float) -> TimeLimit:
    return TimeLimit(until=time.monotonic() + seconds)


async def test_an_answer_that_does_not_begin_in_time_is_given_up_and_not_asked_for_again() -> None:
    async with Scripted([OK, b"HTTP/1.1 100 Continue\r\n\r\n"]) as server:
        assert await server.ask() == (200, b"ok")
        began = time.monotonic()
        with pytest.raises(TimeOverError) as caught:
            await server.client.send(Request("GET", "/x", "", [], b"", time=within(0.2)))
        assert 0.19 < caught.value.waited_s <= time.monotonic() - began < 2
        await _until(lambda: server.closed == 1)
        assert (server.connections, len(server.heads)) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("head", [b"content-length: 10\r\n", b""])
async def test_a_body_may_come_after_that_time_but_not_stop_for_too_long(head: bytes) -> None:
    async with Scripted([b"HTTP/1.1 200 OK\r\n" + head + b"\r\nbegin"]) as server:
        limit = TimeLimit(until=time.monotonic() + 1, idle_timeout_s=0.3)
        answer = await server.client.send(Request("GET", "/x", "", [], b"", time=limit))
        await asyncio.sleep(limit.until - time.monotonic() + 0.05)
        with pytest.raises(TimeOverError):
            await read(answer.body)


@pytest.mark.slow
async def test_a_body_that_keeps_coming_is_never_cut() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        for _ in range(6):
            await asyncio.sleep(0.2)
            writer.write(b"x")
        writer.close()

    server = await asyncio.start_server(slowly, "127.0.0.1", 0)
    client = HttpClient(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    limit = TimeLimit(until=time.monotonic() + 1, idle_timeout_s=1)
    answer = await client.send(Request("GET", "/x", "", [], b"", time=limit))
    assert await read(answer.body) == b"xxxxxx"
    server.close()


@pytest.mark.slow
async def test_an_upload_is_not_cut_while_its_bytes_move_and_is_when_they_do_not() -> None:
    async def slowly(pause_s: float) -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"
            await asyncio.sleep(pause_s)

    async with Scripted([OK]) as server:
        limit = TimeLimit(idle_timeout_s=1)
        answer = await server.client.send(Request("POST", "/x", "", [], slowly(0.25), time=limit))
        assert await read(answer.body) == b"ok"
        with pytest.raises(TimeOverError):
            await server.client.send(Request("POST", "/x", "", [], slowly(2), time=limit))


async def test_a_connection_is_kept_past_the_time_of_the_request_before() -> None:
    async with Scripted([OK, OK]) as server:
        limit = within(1)
        await server.client.send(Request("GET", "/x", "", [], b"", time=limit))
        await asyncio.sleep(limit.until - time.monotonic() + 0.05)
        assert await server.ask() == (200, b"ok")
        assert server.connections == 1


async def _until(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")
