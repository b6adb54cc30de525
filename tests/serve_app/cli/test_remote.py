"""Models that the command line adds to a running service, and takes away there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from serve_app.cli import remote
from tests.support import own_model
from tests.support.commands import run

KEY = "a" * 20


@dataclass
class Service:
    """Goes through `states`, one each time it is asked, and keeps what it was sent."""

    url: str = ""
    states: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "ready"}])
    sent: list[tuple[str, str, Any, str | None]] = field(default_factory=list)
    error: str = ""

    def answer(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        if self.error:
            return 403, {"status": {"error": self.error}, "time": 0.0, "result": None}
        if method == "GET":
            return 200, {"result": {"models": [], "additions": [self._next()]}}
        self.sent.append((method, path, body, key))
        return 200, {"result": self._next() if method == "POST" else self._shown({"state": "ready"})}

    def _next(self) -> dict[str, Any]:
        return self._shown(self.states.pop(0) if len(self.states) > 1 else self.states[0])

    def _shown(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"name": "m", "models": ["m"], "detail": "", "done": 0, "total": None, "reason": None, **state}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    there = Service()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = there.answer(self.command, self.path, body, self.headers.get("api-key"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    there.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(remote, "_POLL_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("QDRANT_INFERENCE_ADMIN_KEY", KEY)
    yield there
    server.shutdown()
    server.server_close()


def test_a_repository_is_asked_for_by_name_with_the_admin_key(service: Service) -> None:
    service.states = [{"state": "waiting"}, {"state": "downloading", "done": 1, "total": 2}, {"state": "ready"}]
    status, said = run("add", "shop/products", "--name", "m", "--revision", "v1", "--url", service.url)
    assert status == 0, said
    assert "ready" in said
    wanted = {"hub": "shop/products", "revision": "v1", "name": "m"}
    assert service.sent == [("POST", "/inference/models", wanted, KEY)]


def test_a_folder_is_inspected_here_and_sent_as_an_entry(service: Service, tmp_path: Path) -> None:
    folder = own_model.fine_tuned(tmp_path / "ours")
    status, said = run("add", folder, "--name", "shop/products", "--url", service.url)
    assert status == 0, said
    ((_, _, body, _),) = service.sent
    assert body["entry"]["name"] == "shop/products"
    assert body["entry"]["sources"][0]["folder"] == str(folder)


def test_why_it_failed_is_told(service: Service) -> None:
    service.states = [{"state": "waiting"}, {"state": "failed", "reason": "a vector is empty"}]
    status, said = run("add", "shop/products", "--url", service.url)
    assert status == 1
    assert "m: a vector is empty" in said


def test_what_was_added_is_removed_with_its_files(service: Service) -> None:
    status, said = run("remove", "shop/products", "--url", service.url)
    assert status == 0, said
    assert service.sent == [("DELETE", "/inference/models/shop/products?files=true", None, KEY)]


def test_what_the_service_refuses_is_told_in_its_words(service: Service) -> None:
    service.error = "the settings may be changed with the admin key only"
    status, said = run("add", "shop/products", "--url", service.url)
    assert status == 1
    assert "error: the settings may be changed with the admin key only" in said


@pytest.mark.parametrize(
    ("url", "fault"),
    [("localhost:6333", "is no address of a service"), ("http://127.0.0.1:9", "does not answer: connection refused")],
)
def test_an_address_where_no_service_is(url: str, fault: str) -> None:
    status, said = run("add", "shop/products", "--url", url)
    assert status == 1
    assert fault in said
