"""The sockets of a process, and which of them are open to others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from serve_app.front.haproxy import SECRET
from serve_app.front.sockets import Listening, is_local, of_this_run, unexpected

OPENER = """
import socket, sys
kinds = socket.SOCK_STREAM, socket.SOCK_DGRAM
opened = [socket.socket(family, kind) for family in (socket.AF_INET, socket.AF_INET6) for kind in kinds]
for one in opened:
    one.bind(("0.0.0.0" if one.family == socket.AF_INET else "::", 0))
    if one.type == socket.SOCK_STREAM: one.listen()
local = socket.create_server(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in [*opened, local]), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("::1", True), ("127.9.9.9", True), ("localhost", True), ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False), ("::", False), ("192.0.2.2", False), ("example.org", False), ("", False),
    ],
)  # fmt: skip
def test_what_is_local(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_what_is_open_to_others_is_found_in_every_process_of_a_run() -> None:
    variables = {**os.environ, SECRET: "of-this-test"}
    with subprocess.Popen(
        [sys.executable, "-c", OPENER], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        tcp, udp, tcp6, udp6, local = map(int, process.stdout.readline().split())
        found = list(of_this_run("of-this-test"))
        process.communicate("")
    assert {(one.kind, one.port) for one in found} == {
        ("tcp", tcp), ("udp", udp), ("tcp", tcp6), ("udp", udp6), ("tcp", local),
    }  # fmt: skip
    assert {one.port for one in unexpected(found, ())} == {tcp, udp, tcp6, udp6}
    assert {one.port for one in unexpected(found, (tcp, udp))} == {udp, tcp6, udp6}
    assert all(f"process {process.pid} (" in one.process for one in found)


def test_a_public_port_is_one_of_tcp() -> None:
    found = [Listening("0.0.0.0", 6333, kind, "p") for kind in ("tcp", "udp")]
    assert [one.kind for one in unexpected(found, (6333,))] == ["udp"]
