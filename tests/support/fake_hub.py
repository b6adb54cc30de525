"""A model hub on this machine: what the hub's library asks for when it lists and downloads a repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """What the hub has, and what it was asked.

    `files` are by repository and path; `asked` has each request's method, path and key; `statuses` are answered for a
    path in place of its file; of paths in `broken`, half is sent.
    """

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        self.files = files
        self.asked: list[tuple[str, str, str | None]] = []
        self.statuses: dict[str, int] = {}
        self.broken: set[str] = set()
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        self.hub.asked.append((self.command, self.path, self.headers.get("Authorization")))
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", self.path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        repository = api[1] if api else file[1] if file else ""
        if repository not in self.hub.files:
            self.reply(404, {"X-Error-Code": "RepoNotFound"}, b"")
        elif file:
            self.send_file(repository, file[3], with_body=with_body)
        else:
            listing = [{"rfilename": path} for path in self.hub.files[repository]]
            self.reply(200, {}, json.dumps({"id": repository, "sha": COMMIT, "siblings": listing}).encode())

    def send_file(self, repository: str, path: str, *, with_body: bool) -> None:
        content = self.hub.files[repository].get(path)
        if status := self.hub.statuses.get(path):
            self.reply(status, {"X-Error-Code": "GatedRepo"} if status == 403 else {}, b"")
        elif content is None:
            self.reply(404, {"X-Error-Code": "EntryNotFound"}, b"")
        else:
            tag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            start = re.fullmatch(r"bytes=(\d+)-.*", self.headers.get("Range", "")) if with_body else None
            body = content[int(start[1]) :] if start else content
            sent = 0 if not with_body else len(body) // 2 if path in self.hub.broken else len(body)
            self.reply(206 if start else 200, tag, body, sent)

    def reply(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
        """Answer, and break off after the bytes that are sent."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *_: Any) -> None:
        """Nothing: the tests look at `asked`."""


@contextmanager
def running(files: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    """A hub with these files by repository and path; set HF_ENDPOINT to its `url`."""
    hub = FakeHub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
