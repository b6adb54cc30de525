"""A real Qdrant server, where an environment variable says that there is one; see docs/qdrant.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from serve_app.config.settings import IngressSettings
from serve_app.upstream.remote import RemoteQdrant
from tests.support.gateway import Gateway
from tests.support.real_qdrant import BINARY, GRPC_URL, URL, Addresses, RealQdrant

NO_BINARY = "set QDRANT_BINARY to a Qdrant server's binary"
NO_SERVER = f"{NO_BINARY}, or QDRANT_TEST_URL to the address of one"


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """A server without keys."""
    if URL:
        yield Addresses(URL, GRPC_URL or f"http://{httpx.URL(URL).host}:6334")
        return
    if not BINARY:
        pytest.skip(NO_SERVER)
    server = RealQdrant(tmp_path_factory.mktemp("qdrant")).start()
    yield Addresses(server.url, server.grpc_url)
    server.stop()


@pytest.fixture(scope="session")
def binary() -> str:
    """The path of a server's binary."""
    if not BINARY:
        pytest.skip(NO_BINARY)
    return BINARY


@pytest.fixture
async def gateway(qdrant: Addresses) -> AsyncIterator[Gateway]:
    """A gateway in this process, in front of the server, with models that cost nothing."""
    upstream = RemoteQdrant([qdrant.rest], [qdrant.grpc])
    yield Gateway(settings=IngressSettings(allowed_origins=("https://a.example",)), upstream=lambda _: upstream)
    await upstream.close()
