"""Our connections beside a server of the library `h2`: windows, limits, and all the ways in which a call ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from h2.settings import SettingCodes
from yarl import URL

from serve_app.protocol.messages import Reply
from serve_app.upstream import http2_connection, http2_frames
from serve_app.upstream.grpc_channel import CallError, Channel
from tests.support.http2_server import DONE, OK, Asked, Server, Session, echo, framed, serving
from tests.support.ray_replica import eventually

METHOD = "/qdrant.Points/Query"
Answer = Callable[[Session, Asked], None]


@contextlib.asynccontextmanager
async def channel_to(server: Server) -> AsyncIterator[Channel]:
    async with serving(server):
        channel = Channel(URL(f"http://127.0.0.1:{server.port}"), None)
        assert await channel.connects(20)
        yield channel
        await channel.close()
        await eventually(lambda: all(session.transport.is_closing() for session in server.sessions))
    assert server.errors == [], server.errors


async def ask(channel: Channel, message: bytes = b"ab", *metadata: tuple[str, str | bytes]) -> Reply:
    return await asyncio.wait_for(channel.call(METHOD, message, metadata, None), 20)


async def fails(answer: Answer) -> CallError:
    """How a call fails that is answered so."""
    async with channel_to(Server(answer)) as channel:
        with pytest.raises(CallError) as failed:
            await ask(channel)
        return failed.value


def ends(*headers: tuple[str, str], body: bytes = b"", head: list[tuple[str, str]] = OK) -> Answer:
    """Answer with these headers at the end."""

    def answer(session: Session, asked: Asked) -> None:
        session.state.send_headers(asked.stream, head)
        if body:
            session.state.send_data(asked.stream, body)
        session.state.send_headers(asked.stream, headers, end_stream=True)

    return answer


async def test_what_is_asked_comes_as_grpc_has_it() -> None:
    async with channel_to(server := Server(echo)) as channel:
        metadata = [("x-a", "1"), ("x-a", "2"), ("x-bin", b"\0\xff"), ("x-long", "y" * 40_000)]
        for _ in range(2):
            reply = await asyncio.wait_for(channel.call(METHOD, b"ab", metadata, 7), 20)
            assert (reply.message, list(reply.metadata)) == (b"ab", [])
        asked = server.asked[-1].headers
        assert (asked[b":method"], asked[b":path"], asked[b":scheme"]) == (b"POST", METHOD.encode(), b"http")
        assert (asked[b"te"], asked[b"content-type"]) == (b"trailers", b"application/grpc")
        assert asked[b":authority"] == f"127.0.0.1:{server.port}".encode()
        assert (asked[b"x-bin"], asked[b"x-long"]) == (b"AP8", b"y" * 40_000)
        assert 7000 < int(asked[b"grpc-timeout"][:-1]) <= 8000


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {SettingCodes.INITIAL_WINDOW_SIZE: 10},
        {SettingCodes.INITIAL_WINDOW_SIZE: 0, SettingCodes.MAX_CONCURRENT_STREAMS: 3},
        {SettingCodes.MAX_FRAME_SIZE: 100_000, SettingCodes.MAX_CONCURRENT_STREAMS: 1},
    ],
)
async def test_many_calls_of_all_sizes_at_a_time(settings: dict[Any, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2_connection, "_TOP_UP", 20_000)
    sizes = random.Random(1)
    most = settings.get(SettingCodes.INITIAL_WINDOW_SIZE, 10_000) or 40  # each few bytes take a turn of the windows
    messages = [sizes.randbytes(sizes.choice([0, 1, 100, 20 * most])) for _ in range(60)]

    def answer(session: Session, asked: Asked) -> None:
        asyncio.get_running_loop().call_later(0.001, lambda: (echo(session, asked), session.flush()))

    server = Server(answer, settings)
    async with channel_to(server) as channel:
        if settings.get(SettingCodes.INITIAL_WINDOW_SIZE) == 0:
            await asyncio.sleep(0.05)
            server.sessions[0].state.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 30})
            server.sessions[0].flush()
        replies = await asyncio.gather(*[ask(channel, message) for message in messages])
        assert [reply.message for reply in replies] == messages
    assert len(server.sessions) == 1
    assert server.most_at_a_time <= settings.get(SettingCodes.MAX_CONCURRENT_STREAMS, 60)


async def test_a_call_that_is_given_up_is_reset_and_the_next_one_is_answered() -> None:
    server = Server(lambda session, asked: echo(session, asked) if asked.body == framed(b"ab") else None)
    async with channel_to(server) as channel:
        with pytest.raises(CallError, match="DEADLINE_EXCEEDED"):
            await channel.call(METHOD, b"never", (), 0.05)
        waits = asyncio.create_task(ask(channel, b"never"))
        await eventually(lambda: len(server.asked) == 2)
        waits.cancel()
        await eventually(lambda: server.resets == [8, 8])
        assert (await ask(channel)).message == b"ab"
    assert len(server.sessions) == 1


async def test_so_is_one_that_waits_for_a_window_or_for_its_turn() -> None:
    server = Server(echo, {SettingCodes.MAX_CONCURRENT_STREAMS: 1}, takes_bodies=False)
    async with channel_to(server) as channel:
        calls = [asyncio.create_task(channel.call(METHOD, b"x" * 100_000, (), 0.2)) for _ in range(3)]
        for call in calls:
            with pytest.raises(CallError, match="DEADLINE_EXCEEDED"):
                await call
        assert server.asked == []
        await eventually(lambda: server.resets == [8])
        connection = channel._connection
        assert connection
        assert (len(connection._exchanges), len(connection._waiting)) == (0, 0)


async def test_an_answer_may_come_before_the_request_is_whole() -> None:
    server = Server(echo, takes_bodies=False)
    async with channel_to(server) as channel:
        call = asyncio.create_task(ask(channel, b"x" * 100_000))
        await eventually(lambda: bool(server.sessions[0].under_way))
        session = server.sessions[0]
        ends(("grpc-status", "8"), ("grpc-message", "too much"))(session, session.under_way[1])
        session.flush()
        with pytest.raises(CallError, match="RESOURCE_EXHAUSTED: too much"):
            await call
        await eventually(lambda: server.resets == [8])


async def test_what_a_server_has_not_looked_at_is_asked_again_elsewhere() -> None:
    def leaves(session: Session, asked: Asked) -> None:
        if len(server.sessions) > 1:
            echo(session, asked)
        elif asked.stream == 5:
            session.state.close_connection(last_stream_id=3)
            session.flush()
            session.transport.write(b"")

    server = Server(leaves)
    async with serving(server):
        channel = Channel(URL(f"http://127.0.0.1:{server.port}"), None)
        calls = [asyncio.create_task(ask(channel, b"%d" % n)) for n in range(4)]
        await eventually(lambda: len(server.sessions) == 2)
        assert {(await calls[n]).message for n in (2, 3)} == {b"2", b"3"}
        assert not calls[0].done(), "it may still be answered"
        server.sessions[0].transport.abort()
        for n in (0, 1):
            with pytest.raises(CallError, match="UNAVAILABLE"):
                await calls[n]
        await channel.close()


async def test_a_call_that_is_refused_is_asked_again_once() -> None:
    def refuse(session: Session, asked: Asked) -> None:
        session.state.reset_stream(asked.stream, http2_frames.REFUSED_STREAM)

    server = Server(refuse)
    async with channel_to(server) as channel:
        with pytest.raises(CallError, match="UNAVAILABLE"):
            await ask(channel)
    assert len(server.asked) == 2


async def test_a_call_that_may_have_been_carried_out_is_not_asked_again() -> None:
    server = Server(lambda session, _: session.transport.abort())
    async with serving(server):
        channel = Channel(URL(f"http://127.0.0.1:{server.port}"), None)
        with pytest.raises(CallError, match="UNAVAILABLE") as failed:
            await ask(channel)
        assert (len(server.asked), failed.value.is_told) == (1, False)
        server.answer = echo
        assert (await ask(channel)).message == b"ab"
        await channel.close()


@pytest.mark.parametrize(
    ("code", "status"), [(2, "INTERNAL"), (8, "CANCELLED"), (11, "RESOURCE_EXHAUSTED"), (12, "PERMISSION_DENIED")]
)
async def test_a_reset_is_a_status(code: int, status: str) -> None:
    failed = await fails(lambda session, asked: session.state.reset_stream(asked.stream, code))
    assert (failed.code.name, failed.is_told) == (status, False)


async def test_a_status_is_told_with_what_came_along() -> None:
    told = [("grpc-status", "5"), ("grpc-message", "no %C3%A4 100%25"), ("x-bin", "AP8"), ("x-a", "1")]
    failed = await fails(ends(*told, head=[*OK, ("x-first", "2")]))
    assert (failed.code, failed.details, failed.is_told) == (grpc.StatusCode.NOT_FOUND, "no ä 100%", True)
    assert list(failed.metadata) == [("x-first", "2"), ("x-bin", b"\0\xff"), ("x-a", "1")]


async def test_a_status_alone_is_one_too() -> None:
    def answer(session: Session, asked: Asked) -> None:
        session.state.send_headers(asked.stream, [*OK, ("grpc-status", "16"), ("x-a", "1")], end_stream=True)

    failed = await fails(answer)
    assert (failed.code, list(failed.metadata)) == (grpc.StatusCode.UNAUTHENTICATED, [("x-a", "1")])


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (ends(("x-a", "1")), "UNKNOWN"),
        (ends(("grpc-status", "junk")), "UNKNOWN"),
        (ends(("grpc-status", "77")), "UNKNOWN"),
        (ends(*DONE), "INTERNAL"),
        (ends(*DONE, ("x-bin", "no base64!"), body=framed(b"a")), "INTERNAL"),
        (ends(*DONE, body=b"\0\0\0"), "INTERNAL"),
        (ends(*DONE, body=framed(b"ab") + b"c"), "INTERNAL"),
        (ends(*DONE, body=framed(b"a") * 2), "INTERNAL"),
        (ends(*DONE, body=b"\1\0\0\0\1a"), "INTERNAL"),
        (ends(("x-a", "1"), head=[(":status", "503")]), "UNAVAILABLE"),
        (ends(("x-a", "1"), head=[(":status", "404")]), "UNIMPLEMENTED"),
        (ends(("x-a", "1"), head=[(":status", "418")]), "UNKNOWN"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(answer: Answer, status: str) -> None:
    assert (await fails(answer)).code.name == status


async def test_an_answer_ends_where_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.upstream.grpc_channel._MAX_MESSAGE", 1000)
    server = Server(echo)
    async with channel_to(server) as channel:
        assert len((await ask(channel, b"x" * 1000)).message) == 1000
        with pytest.raises(CallError, match="RESOURCE_EXHAUSTED"):
            await ask(channel, b"x" * 1001)
        assert (await ask(channel)).message == b"ab"


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        http2_frames.frame(http2_frames.PING, 0, 0, b"12345678"),  # settings come first
        http2_frames.settings([]) + http2_frames.frame(http2_frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2"),
        http2_frames.settings([]) + http2_frames.frame(http2_frames.HEADERS, 0, 1) * 2,
        http2_frames.settings([]) + http2_frames.frame(http2_frames.CONTINUATION, 4, 1),
        http2_frames.settings([]) + http2_frames.frame(http2_frames.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff"),
        http2_frames.settings([])
        + http2_frames.frame(http2_frames.HEADERS, 0, 1)
        + http2_frames.frame(http2_frames.CONTINUATION, 0, 1, b"x" * 16_000) * 5,
        b"\xff\xff\xff\0\0\0\0\0\1",
    ],
)
async def test_a_server_that_speaks_something_else_is_not_reached(sent: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    channel = Channel(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None)
    with pytest.raises(CallError, match="UNAVAILABLE"):
        await ask(channel)
    await channel.close()
    server.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
async def test_a_machine_that_says_nothing_is_left() -> None:
    async with channel_to(Server(echo)) as channel:
        assert channel._connection
        connected = channel._connection._transport.get_extra_info("socket")
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


async def test_pings_are_answered() -> None:
    async with channel_to(server := Server(echo)) as channel:
        server.sessions[0].state.ping(b"12345678")
        server.sessions[0].flush()
        acknowledged = []
        take = server.sessions[0].take
        server.sessions[0].take = lambda event: (acknowledged.append(type(event).__name__), take(event))[1]  # type: ignore[method-assign]
        assert (await ask(channel)).message == b"ab"
        assert "PingAckReceived" in acknowledged


async def test_a_connection_whose_numbers_are_used_up_is_followed_by_another() -> None:
    async with channel_to(server := Server(echo)) as channel:
        assert channel._connection
        channel._connection._next = http2_frames.LAST_STREAM
        for _ in range(2):
            assert (await ask(channel)).message == b"ab"
        assert [asked.stream for asked in server.asked] == [http2_frames.LAST_STREAM, 1]
        await eventually(server.sessions[0].transport.is_closing)
