"""The way to a Qdrant server, against real HTTP and gRPC servers in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from qdrant_client import grpc as q

from deployments.errors import ConfigError, DeadlineExceeded, UpstreamUnavailable
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Call, Request, read
from serve_app.upstream.base import UpstreamStatus
from serve_app.upstream.remote import RemoteQdrant
from tests.support.stub_qdrant import Server

COUNT = q.CountPoints(collection_name="c").SerializeToString()
DELETE = q.DeletePoints(collection_name="c").SerializeToString()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def remote(server: Server) -> AsyncIterator[RemoteQdrant]:
    remote = in_front_of(server)
    yield remote
    await remote.close()


def in_front_of(*servers: Server, scheme: str = "http", certificates: Path | None = None) -> RemoteQdrant:
    return RemoteQdrant(
        [f"{scheme}://127.0.0.1:{server.http_port}" for server in servers],
        [f"{scheme}://127.0.0.1:{server.grpc_port}" for server in servers],
        certificates,
    )


async def count(remote: RemoteQdrant) -> Any:
    reply = await remote.grpc(COUNT, Call("/qdrant.Points/Count"))
    return q.CountResponse.FromString(reply.message)


async def get(remote: RemoteQdrant) -> int:
    answer = await remote.rest(Request("GET", "/", "", [], b""))
    await read(answer.body)
    return answer.status


async def test_a_request_and_its_answer_pass_as_they_are(server: Server, remote: RemoteQdrant) -> None:
    headers = [(b"api-key", b"secret"), (b"x-odd", b"1"), (b"host", b"gateway"), (b"connection", b"close")]
    answer = await remote.rest(Request("PUT", "/a%2Fb/c%20d", "q=%C3%A4&q=", headers, b"\x00body"))
    (seen,) = server.requests
    assert (seen["method"], seen["url"], seen["body"]) == ("PUT", "/a%2Fb/c%20d?q=%C3%A4&q=", b"\x00body")
    sent = {name.lower() for name in seen["headers"]}
    assert sent == {"api-key", "x-odd", "host", "content-length"}
    assert seen["headers"]["Host"] == f"127.0.0.1:{server.http_port}"
    assert answer.status == 418
    assert (b"x-answer", b"yes") in answer.headers
    assert (b"content-type", b"a/b") in answer.headers
    assert await read(answer.body) == b"\x00body"


async def test_a_body_is_streamed_in_both_directions(server: Server, remote: RemoteQdrant) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000
            await asyncio.sleep(0)

    headers = [(b"transfer-encoding", b"chunked")]
    answer = await remote.rest(Request("POST", "/collections/c/snapshots/upload", "", headers, parts()))
    assert not isinstance(answer.body, bytes)
    assert sum([len(part) async for part in answer.body]) == 1_000_000


async def test_a_grpc_call_passes_with_its_metadata(server: Server, remote: RemoteQdrant) -> None:
    call = Call("/qdrant.Points/Count", [("api-key", "secret")])
    reply = await remote.grpc(COUNT, call)
    message = q.CountResponse.FromString(reply.message)
    assert message.result.count == 7
    assert server.points.seen["api-key"] == "secret"
    assert {("x-first", "1"), ("x-last", "2")} <= set(reply.metadata)


async def test_a_grpc_status_passes_with_its_metadata(remote: RemoteQdrant) -> None:
    with pytest.raises(UpstreamStatus) as caught:
        await remote.grpc(DELETE, Call("/qdrant.Points/Delete"))
    assert (caught.value.code, caught.value.details) == (grpc.StatusCode.PERMISSION_DENIED, "may not delete")
    assert ("x-reason", "no") in list(caught.value.metadata)


async def test_an_unreachable_qdrant_is_said_so_on_both_ways() -> None:
    remote = RemoteQdrant(["http://127.0.0.1:9"], ["http://127.0.0.1:9"])
    with pytest.raises(UpstreamUnavailable):
        await get(remote)
    with pytest.raises(UpstreamUnavailable):
        await count(remote)
    await remote.close()


async def test_a_restart_of_qdrant_is_survived(server: Server, remote: RemoteQdrant) -> None:
    for _ in range(2):
        assert await get(remote) == 418
        assert (await count(remote)).result.count == 7
        await server.stop()
        with pytest.raises(UpstreamUnavailable):
            await get(remote)
        with pytest.raises(UpstreamUnavailable):
            await count(remote)
        await server.start()
        await asyncio.sleep(1.2)  # gRPC tries again after a second at most
    assert await get(remote) == 418
    assert (await count(remote)).result.count == 7


async def test_several_nodes_take_turns_and_a_dead_one_is_passed_over() -> None:
    servers = [Server() for _ in range(3)]
    for server in servers:
        await server.start()
    remote = in_front_of(*servers)
    for _ in range(6):
        await get(remote)
        await count(remote)
    assert [len(server.requests) for server in servers] == [2, 2, 2]
    assert [server.points.calls for server in servers] == [2, 2, 2]

    await servers[1].stop()
    for _ in range(6):
        assert await get(remote) == 418
        assert (await count(remote)).result.count == 7
    assert [len(server.requests) for server in servers][1] == 2

    await servers[1].start()
    await asyncio.sleep(2.1)  # as long as it is passed over
    for _ in range(6):
        await get(remote)
        await count(remote)
    assert [len(server.requests) for server in servers][1] == 4
    assert servers[1].points.calls == 4
    await remote.close()
    for server in servers:
        await server.stop()


async def test_a_body_goes_whole_to_the_node_that_is_there(server: Server) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    remote = RemoteQdrant(["http://127.0.0.1:9", f"http://127.0.0.1:{server.http_port}"], ["http://127.0.0.1:9"])
    for _ in range(2):
        answer = await remote.rest(Request("PUT", "/x", "", [(b"transfer-encoding", b"chunked")], parts()))
        assert await read(answer.body) == b"firstsecond"
    await remote.close()


async def test_a_request_that_a_node_may_have_seen_is_not_sent_again(server: Server) -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(10)
        writer.close()

    rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    urls = [f"http://127.0.0.1:{port}" for port in (rude.sockets[0].getsockname()[1], server.http_port)]
    remote = RemoteQdrant(urls[::-1], urls)
    with pytest.raises(UpstreamUnavailable, match="broke off"):
        await remote.rest(Request("POST", "/collections/c/points", "", [], b"{}"))
    assert (connections, server.requests) == (1, [])
    await remote.close()
    rude.close()


async def test_a_qdrant_that_hangs_is_waited_for_until_the_time_is_over(server: Server, remote: RemoteQdrant) -> None:
    await get(remote)
    await count(remote)
    began = time.monotonic()
    server.answers.clear()
    for limit in (TimeLimit(until=time.monotonic() + 0.3), TimeLimit(idle_timeout_s=0.3)):
        with pytest.raises(DeadlineExceeded, match=r"did not answer within 0\.\d s, what was left of the time"):
            await remote.rest(Request("GET", "/", "", [], b"", time=limit))
    for limit in (TimeLimit(until=time.monotonic() + 0.3), TimeLimit(idle_timeout_s=0.3)):
        with pytest.raises(DeadlineExceeded, match=r"did not answer within 0\.\d s, what was left of the time"):
            await remote.grpc(COUNT, Call("/qdrant.Points/Count", time=limit))
    assert time.monotonic() - began < 3
    server.answers.set()
    assert await get(remote) == 418
    assert (await count(remote)).result.count == 7


async def test_a_connection_that_does_not_come_about_takes_no_longer_than_the_request_may() -> None:
    remote = RemoteQdrant(["http://192.0.2.77:6333"], ["http://192.0.2.77:6334"])  # an address that nobody has
    began = time.monotonic()
    with pytest.raises(UpstreamUnavailable):
        await remote.rest(Request("GET", "/", "", [], b"", time=TimeLimit(until=began + 0.3)))
    with pytest.raises(UpstreamUnavailable):
        await remote.grpc(b"", Call("/qdrant.Points/Count", time=TimeLimit(until=began + 0.6)))
    assert time.monotonic() - began < 2
    await remote.close()


async def test_a_qdrant_behind_tls_is_trusted_by_the_given_authority_only(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    server = Server(authority.issue_cert("127.0.0.1"))
    await server.start()

    remote = in_front_of(server, scheme="https", certificates=file)
    assert await get(remote) == 418
    assert (await count(remote)).result.count == 7
    await remote.close()

    doubting = in_front_of(server, scheme="https")
    with pytest.raises(UpstreamUnavailable):
        await get(doubting)
    with pytest.raises(UpstreamUnavailable):
        await count(doubting)
    await doubting.close()
    await server.stop()


def test_wrong_certificates_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=name):
            RemoteQdrant(["https://q:6333"], ["https://q:6334"], tmp_path / name)
