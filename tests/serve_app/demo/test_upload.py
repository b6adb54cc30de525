"""Uploads, to an HTTP server that answers as Qdrant does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from serve_app.demo.upload import BATCH, IN_FLIGHT, batches, upload


class FakeQdrant(ThreadingHTTPServer):
    """Takes points, counts a token for each, and from request `fails_from` on answers with an error."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.sizes: list[int] = []
        self.ids: list[int] = []
        self.now = self.most = 0
        self.fails_from = 1_000_000


class Handler(BaseHTTPRequestHandler):
    server: FakeQdrant

    def do_PUT(self) -> None:
        points = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["points"]
        with self.server.lock:
            self.server.sizes.append(len(points))
            self.server.ids.extend(point["id"] for point in points)
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
            failed = len(self.server.sizes) >= self.server.fails_from
        time.sleep(0.02)
        with self.server.lock:
            self.server.now -= 1
        usage = {"inference": {"models": {"a/model": {"tokens": len(points)}}}}
        answer = {"result": {"status": "completed"}, "status": "ok", "time": 0.0, "usage": usage}
        refusal = {"status": {"error": "full"}, "time": 0.0, "result": None}
        self.answer(500 if failed else 200, refusal if failed else answer)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def qdrant() -> Iterator[FakeQdrant]:
    with FakeQdrant() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(qdrant: FakeQdrant) -> Iterator[QdrantClient]:
    client = QdrantClient(url=qdrant.url, cloud_inference=True, check_compatibility=False)
    yield client
    client.close()


def points(count: int) -> list[models.PointStruct]:
    document = models.Document(text="a text", model="a/model")
    return [models.PointStruct(id=number, vector=document) for number in range(count)]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
def test_batches_are_full_but_for_the_last(count: int, sizes: list[int]) -> None:
    found = list(batches(range(count), 64))
    assert [len(batch) for batch in found] == sizes
    assert [item for batch in found for item in batch] == list(range(count))


def test_every_point_is_written_once_and_its_tokens_are_counted(client: QdrantClient, qdrant: FakeQdrant) -> None:
    steps: list[int] = []
    receipt = upload(client, "things", points(10 * BATCH + 3), steps.append)
    assert sorted(qdrant.ids) == list(range(10 * BATCH + 3))
    assert receipt.tokens == {"a/model": 10 * BATCH + 3}
    assert receipt.points == sum(steps) == 10 * BATCH + 3
    assert receipt.seconds > 0.04


def test_only_a_few_requests_are_in_flight(client: QdrantClient, qdrant: FakeQdrant) -> None:
    upload(client, "things", points(20 * BATCH), lambda _: None)
    assert qdrant.most == IN_FLIGHT


def test_an_error_ends_the_upload_at_once(client: QdrantClient, qdrant: FakeQdrant) -> None:
    qdrant.fails_from = 1
    with pytest.raises(UnexpectedResponse):
        upload(client, "things", points(100 * BATCH), lambda _: None)
    assert len(qdrant.sizes) < 4 * IN_FLIGHT
