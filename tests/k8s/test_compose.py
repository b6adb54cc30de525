"""compose.yaml and the command of the images, which nothing here can run."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from serve_app.cli.main import app
from tests.support.running import free_ports

HOME = Path(__file__).parents[2]
DOCKERFILE = (HOME / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
COMPOSE: Any = yaml.safe_load((HOME / "compose.yaml").read_text(encoding="utf-8"))
OPTIONS = set(re.findall(r"--[a-z-]+", CliRunner(env={"COLUMNS": "200"}).invoke(app, ["up", "--help"]).output))


def commands() -> list[list[str]]:
    """What the images run."""
    return [json.loads(text) for text in re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)]


def test_both_images_serve_on_all_addresses_and_say_their_ports() -> None:
    assert commands() == [["qdrant-inference", "up", "--host", "0.0.0.0", "--data", "/data"]] * 2
    assert re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE) == ["6333 6334"] * 2
    assert len(re.findall(r"^HEALTHCHECK ", DOCKERFILE, re.MULTILINE)) == 2


@pytest.mark.parametrize("command", [*commands(), COMPOSE["services"]["inference"]["command"]])
def test_commands_have_options_that_there_are(command: list[str]) -> None:
    assert command[:2] == ["qdrant-inference", "up"]
    assert {part for part in command if part.startswith("--")} <= OPTIONS


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_the_health_check_asks_whether_the_service_is_ready(status: int | None, *, healthy: bool) -> None:
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" and status else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    checks = [json.loads(text) for text in re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)]
    assert checks[0] == checks[1]
    (port,) = free_ports(1)
    command = [sys.executable, *(part.replace("6333", str(port)) for part in checks[0][1:])]
    if status is None:
        assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode != 0
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Ready) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert (subprocess.run(command, check=False, timeout=60).returncode == 0) is healthy
        server.shutdown()


def test_qdrants_health_check_needs_nothing_but_bash_and_grep() -> None:
    (shell, option, script) = COMPOSE["services"]["qdrant"]["healthcheck"]["test"][1:]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /readyz HTTP/1.0\r\n")
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nall shards are ready")

        threading.Thread(target=answer, daemon=True).start()
        script = script.replace("/6333", f"/{listener.getsockname()[1]}")
        assert subprocess.run([shell, option, script], check=False, timeout=20).returncode == 0
    assert subprocess.run([shell, option, script], check=False, timeout=20, capture_output=True).returncode != 0


def test_every_volume_and_port_is_used_and_nothing_is_open_to_the_network() -> None:
    services = COMPOSE["services"]
    used = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))
    assert {volume.split(":")[1] for volume in services["inference"]["volumes"]} == {"/models", "/data"}


def test_the_image_is_that_of_the_dockerfile() -> None:
    image = COMPOSE["services"]["inference"]["image"]
    assert image in shlex.split(DOCKERFILE.splitlines()[0])
