"""HAProxy as it is started: with what Ray Serve writes, made stricter; and what becomes of slow callers."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest

from serve_app.front import haproxy
from tests.support.front import SECRET_VALUE, WAIT_S, Front, started, talk

pytestmark = pytest.mark.slow

FOLDER = Path("/folder")


@pytest.fixture
def written(tmp_path: Path) -> str:
    return Front(tmp_path).file.read_text()


def test_every_wait_before_a_request_is_whole_ends(written: str) -> None:
    config = haproxy.stricter(written, FOLDER, "127.0.0.1", SECRET_VALUE)
    waits = {name: int(s) for name, s in re.findall(r"^ *timeout (client|http-\S+) (\d+)s$", config, re.MULTILINE)}
    assert waits == {"client": 15, "http-request": 15, "http-keep-alive": 30}
    assert not re.search(r"timeout client 3600", config)


def test_nothing_of_it_listens_on_all_interfaces(written: str) -> None:
    before = re.findall(r"^ *bind (\S+)", written, re.MULTILINE)
    assert sum(not bind.startswith("127.0.0.1:") for bind in before) == 2, "the pages"
    config = haproxy.stricter(written, FOLDER, "127.0.0.1", None)
    assert all(bind.startswith("127.0.0.1:") for bind in re.findall(r"^ *bind (\S+)", config, re.MULTILINE))
    assert "mode 600 level admin" in config


def test_a_service_for_others_has_its_ways_in_there_and_nothing_else(written: str) -> None:
    config = haproxy.stricter(written, FOLDER, "127.0.0.1", SECRET_VALUE, "0.0.0.0")
    for frontend, host in (("http_frontend", "0.0.0.0"), ("grpc_frontend", "0.0.0.0"), ("prometheus", "127.0.0.1")):
        (bind,) = re.findall(rf"^frontend {frontend}\n(?:.*\n)*?    bind (\S+):\d", config, re.MULTILINE)
        assert bind == host
    assert len(re.findall(r"bind 0\.0\.0\.0:", config)) == 2


def test_on_a_cluster_the_pages_stay_where_prometheus_finds_them(written: str) -> None:
    assert re.findall(r"^ *bind (\S+)", haproxy.stricter(written, FOLDER, None, None), re.MULTILINE) == re.findall(
        r"^ *bind (\S+)", written, re.MULTILINE
    )


def section(config: str, frontend: str) -> list[str]:
    (found,) = re.findall(rf"^frontend {frontend}\n((?:(?:[ ].*)?\n)*)", config, re.MULTILINE)
    return [line.strip() for line in found.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_every_way_in_shows_the_secret(written: str) -> None:
    config = haproxy.stricter(written, FOLDER, None, SECRET_VALUE)
    for frontend in ("http_frontend", "grpc_frontend"):
        assert f"http-request set-header {haproxy.HEADER} {SECRET_VALUE}" in section(config, frontend)


@pytest.mark.parametrize("replicas", [("one",), ("one", "two", "three")])
def test_qdrants_calls_go_to_the_port_for_http_of_a_replica(tmp_path: Path, replicas: tuple[str, ...]) -> None:
    names = {"http-app": replicas, "grpc-app": replicas, "http-other": ("a",)}
    config = haproxy.stricter(Front(tmp_path, names=names).file.read_text(), FOLDER, None, None)
    assert config.count("server proxy 127.0.0.1:1 ") == len(names), "which is no replica"
    lines = section(config, "grpc_frontend")
    rules = lines[lines.index("acl is_qdrants path_beg /qdrant. /grpc.health.v1.") :]
    assert rules == [
        "acl is_qdrants path_beg /qdrant. /grpc.health.v1.",
        "acl names_application req.hdr(application) -m found",
        *(f"acl replica_is_up srv_is_up(http-app/{name})" for name in sorted(replicas)),
        "http-request set-header x-qdrant-inference-protocol grpc if is_qdrants !names_application replica_is_up",
        "use_backend http-app if { req.hdr(x-qdrant-inference-protocol) -m found }",
        "use_backend grpc-app if is_grpc-app",
        "default_backend grpc-app",
    ]


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"http-app": ("one",)},
        {"grpc-app": ("one",)},
        {"http-app": (), "grpc-app": ()},
        {"http-app": ("one",), "grpc-app": ("one", "two")},
        {"http-app": ("one",), "grpc-app": ("one",), "http-other": ("two",), "grpc-other": ("two",)},
    ],
    ids=["nothing", "no gRPC", "no HTTP", "no replicas", "names that differ", "two applications"],
)
def test_other_calls_go_where_ray_serve_has_them_go(tmp_path: Path, names: dict[str, tuple[str, ...]]) -> None:
    written = Front(tmp_path, names=names).file.read_text()
    config = haproxy.stricter(written, FOLDER, None, None)
    kept = [line for line in section(written, "grpc_frontend") if not line.startswith("acl backend_")]
    changed = [line for line in section(config, "grpc_frontend") if not line.startswith("acl backend_")]
    assert [line for line in changed if line not in kept] == ["http-request del-header x-qdrant-inference-protocol"]
    assert [line for line in kept if line not in changed] == []


def test_no_caller_says_by_itself_that_a_request_is_a_call(written: str) -> None:
    config = haproxy.stricter(written, FOLDER, None, None)
    for frontend in ("http_frontend", "grpc_frontend"):
        lines = section(config, frontend)
        assert lines.index("http-request del-header x-qdrant-inference-protocol") == 1, "right after the port"


def test_what_is_stricter_stays_as_it_is(written: str) -> None:
    config = haproxy.stricter(written, FOLDER, "127.0.0.1", SECRET_VALUE)
    assert haproxy.stricter(config, FOLDER, "127.0.0.1", SECRET_VALUE) == config


def test_callers_go_away_from_a_node_that_is_drained_and_from_no_other(tmp_path: Path) -> None:
    lines = ("    tune.h2.fe.max-total-streams 1\n", "    option httpclose\n")
    for draining in (False, True):
        config = haproxy.stricter(Front(tmp_path, draining=draining).file.read_text(), FOLDER, None, None)
        assert [line in config for line in lines] == [draining] * 2


@pytest.mark.parametrize(
    "line", ["timeout client", "frontend prometheus", "listen stats", "frontend grpc_frontend", "errorfile 503"]
)
def test_a_configuration_that_is_not_as_expected_starts_nothing(written: str, line: str) -> None:
    with pytest.raises(ValueError, match="HAProxy's configuration has"):
        haproxy.stricter(written.replace(line, f"{line}2"), FOLDER, "127.0.0.1", SECRET_VALUE)


@pytest.mark.parametrize("key", ["", "short", "has a space in it", "%[src]-0123456789abc", "x" * 20 + "\n  mode tcp"])
def test_a_key_that_could_be_guessed_or_misread_starts_nothing(written: str, key: str) -> None:
    with pytest.raises(ValueError, match=haproxy.SECRET):
        haproxy.stricter(written, FOLDER, "127.0.0.1", key)


class Backend(ThreadingHTTPServer):
    """Keeps the headers of what reaches it, and answers when a body is whole, after `takes_s`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.takes_s = 0.0
        self.breaks_off = False
        self.seen: list[Message] = []

    def handle_error(self, *_: object) -> None:
        """A caller that hangs up is what is tried here."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        if self.path != "/-/healthz":
            self.server.seen.append(self.headers)
        self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(self.server.takes_s)
        if self.server.breaks_off and self.path != "/-/healthz":
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("content-length", "2")
        self.send_header("connection", "close")  # after one that was used before, a failure ends without an answer
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def front(tmp_path: Path, backend: Backend) -> Iterator[Front]:
    with started(Front(tmp_path, backend.server_port)) as front:
        backend.seen.clear()
        yield front


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: "])
def test_a_head_that_is_never_whole_ends(front: Front, backend: Backend, sent: bytes) -> None:
    answer = talk(front, sent)
    assert not answer or answer.startswith(b"HTTP/1.1 408")
    assert backend.seen == []


def test_a_head_that_drips_ends(front: Front, backend: Backend) -> None:
    drops = [b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ", *[b"a"] * 8, b"\r\n\r\n"]
    answer = talk(front, *drops, pause_s=WAIT_S / 3)
    assert not answer or answer.startswith(b"HTTP/1.1 408")
    assert backend.seen == []


def test_a_body_that_is_never_whole_ends(front: Front) -> None:
    answer = talk(front, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
    assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


def test_a_body_whose_bytes_move_is_not_cut(front: Front) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n"
    assert talk(front, head, *[b"a"] * 12, pause_s=WAIT_S / 4).startswith(b"HTTP/1.1 200")


def test_an_answer_may_take_longer_than_a_caller_may_be_silent(front: Front, backend: Backend) -> None:
    backend.takes_s = 3 * WAIT_S
    answer = talk(front, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab")
    assert answer.startswith(b"HTTP/1.1 200")


def test_what_a_caller_says_is_the_secret_does_not_count(front: Front, backend: Backend) -> None:
    lie = f"{haproxy.HEADER}: of-the-caller\r\n".encode()
    talk(front, b"GET /x HTTP/1.1\r\nhost: x\r\n" + lie * 2 + b"\r\n")
    (headers,) = backend.seen
    assert headers.get_all(haproxy.HEADER) == [SECRET_VALUE]


def error_of(answer: bytes) -> tuple[int, str]:
    """The status, and the message in Qdrant's form."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), str(json.loads(body)["status"]["error"])


def test_a_replica_that_ends_in_the_middle_is_told_in_qdrants_form(front: Front, backend: Backend) -> None:
    backend.breaks_off = True
    assert error_of(talk(front, b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")) == (
        502,
        "the inference service ended before it had answered",
    )


def test_no_replica_is_told_in_qdrants_form(front: Front, backend: Backend) -> None:
    backend.shutdown()
    backend.server_close()
    status, message = error_of(talk(front, b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"))
    assert (status, message) == (503, "no replica of the inference service can be reached; try again")


@pytest.mark.parametrize("draining", [False, True])
def test_a_caller_by_grpc_goes_away_from_a_drained_node_without_a_failure(tmp_path: Path, *, draining: bool) -> None:
    with echo() as port, started(Front(tmp_path, port, draining=draining)) as front:
        with grpc.insecure_channel(f"127.0.0.1:{front.grpc}") as channel:
            ask = channel.unary_unary("/any/method")
            assert [ask(b"x", timeout=20) for _ in range(5)] == [b"x"] * 5
        told = urllib.request.urlopen(f"http://127.0.0.1:{front.metrics}/metrics", timeout=20).read().decode()
    (connections,) = re.findall(
        r'^haproxy_frontend_connections_total\{proxy="grpc_frontend"\} (\d+)$', told, re.MULTILINE
    )
    assert (int(connections) > 1) is draining


@contextmanager
def echo() -> Iterator[int]:
    """A server of gRPC that says what it is told."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(lambda request, _: request)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)
