"""What the demo says when a service is not as it should be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deployments.errors import SetupError
from serve_app.demo import walkthrough
from tests.support.running import free_ports


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": {"error": "Storage is full"}, "time": 0.0, "result": null}'
        self.send_response(507)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def nowhere() -> str:
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


def quiet() -> Console:
    return Console(file=StringIO())


def test_a_server_that_refuses_is_a_server_that_answers(refusing: str, nowhere: str) -> None:
    assert walkthrough.answers(refusing)
    assert not walkthrough.answers(nowhere)


def test_an_error_of_qdrant_is_told_in_its_own_words_and_in_one_line(refusing: str) -> None:
    with pytest.raises(SetupError) as told:
        walkthrough.tell(refusing, quiet(), lambda *_: True)
    assert str(told.value) == f"{refusing} answered 507: Storage is full"


def test_who_asks_a_qdrant_alone_is_told_whom_to_ask(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walkthrough, "_ALONE", "Storage is full")
    with pytest.raises(SetupError) as told:
        walkthrough.tell(refusing, quiet(), lambda *_: True)
    assert "demo --url http://localhost:6343" in told.value.hint


def test_a_service_that_cannot_be_reached_is_told_with_its_address(nowhere: str) -> None:
    with pytest.raises(SetupError, match=f"no Qdrant answers at {nowhere}: .*refused"):
        walkthrough.tell(nowhere, quiet(), lambda *_: True)


def test_the_demo_ends_with_the_address_of_the_console() -> None:
    console = quiet()
    walkthrough._go_on("http://localhost:6333/", console)
    assert console.file.getvalue().endswith("  http://localhost:6333/inference/\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["nonsense:abc", "ftp://localhost", "http://localhost:port"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(SetupError, match=url):
        walkthrough.tell(url, quiet(), lambda *_: True)


@pytest.mark.parametrize(
    ("there", "wanted", "asked", "skipped"),
    [(0, False, [], False), (9, False, [], False), (10, False, [10], True), (10, True, [10], False)],
)
def test_only_a_collection_that_holds_all_points_is_asked_about(
    there: int, wanted: bool, asked: list[int], skipped: bool
) -> None:
    questions: list[int] = []
    client: Any = SimpleNamespace(count=lambda _: SimpleNamespace(count=there))

    def answer(_collection: str, points: int) -> bool:
        questions.append(points)
        return wanted

    assert walkthrough._skipped(client, "texts", 10, quiet(), answer) is skipped
    assert questions == asked
