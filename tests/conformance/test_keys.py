"""Keys of a service that runs: asked for by both APIs, and shown nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import grpc
import httpx
import psutil
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.support.keys import KEY, READ_ONLY_KEY
from tests.support.running import RunningService

TEA = models.Document(text="tea", model="sentence-transformers/all-minilm-l6-v2")
POINTS = [models.PointStruct(id=1, vector=TEA)]

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


@pytest.fixture(params=["rest", "grpc"])
def with_key(request: pytest.FixtureRequest, remote_service: RunningService) -> Iterator[Callable[..., QdrantClient]]:
    """Makes the official client with a key, or with none."""
    options: dict[str, Any] = {
        "url": remote_service.rest_address,
        "grpc_port": remote_service.grpc_port,
        "prefer_grpc": request.param == "grpc",
        "cloud_inference": True,
        "check_compatibility": False,
        "timeout": 60,
    }
    with ExitStack() as clients:
        yield lambda key: clients.enter_context(closing(QdrantClient(**options, api_key=key)))


def test_the_official_client_shows_its_key(with_key: Callable[..., QdrantClient]) -> None:
    full, reading, nobody = with_key(KEY), with_key(READ_ONLY_KEY), with_key(None)
    full.create_collection("keys", models.VectorParams(size=384, distance=models.Distance.COSINE))
    full.upsert("keys", POINTS)
    assert [point.id for point in reading.query_points("keys", query=TEA).points] == [1]
    with pytest.raises((UnexpectedResponse, grpc.RpcError), match="Global manage access is required"):
        reading.upsert("keys", POINTS)
    with pytest.raises((UnexpectedResponse, grpc.RpcError), match="Must provide an API key"):
        nobody.query_points("keys", query=TEA)
    full.delete_collection("keys")


def test_health_needs_no_key(remote_service: RunningService) -> None:
    for path in ("/", "/healthz", "/livez", "/readyz"):
        assert httpx.get(remote_service.rest_address + path).status_code == 200
    assert httpx.get(remote_service.rest_address + "/collections").status_code == 401


def test_a_large_body_without_a_key_is_refused(remote_service: RunningService) -> None:
    url = remote_service.rest_address + "/collections/c/points"
    assert httpx.put(url, content=b" " * 20_000_000, timeout=30).status_code == 401


def test_no_key_stands_in_a_log_or_a_command_line(remote_service: RunningService) -> None:
    files = [path for path in [remote_service.output, *remote_service.logs.rglob("*")] if path.is_file()]
    assert len(files) > 5
    for key in (KEY, READ_ONLY_KEY):
        assert [path for path in files if key.encode() in path.read_bytes()] == []
        assert [process for process in psutil.process_iter(["cmdline"]) if key in str(process.info)] == []
    assert "callers need a key" in remote_service.said
