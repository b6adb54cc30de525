"""What a running service opens to others: no socket, and no file."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from qdrant_client import grpc as q

from deployments import channel
from serve_app.front.haproxy import HEADER, PROTOCOL, SECRET
from serve_app.front.sockets import Listening, of_this_run, unexpected
from tests.support.running import RunningService


def secret_of(service: RunningService) -> str:
    """The secret of a run, which its processes find in their environment."""
    found = {
        process.environ()[SECRET]
        for process in psutil.process_iter()
        if process in service.family() and SECRET in process.environ()
    }
    (secret,) = found
    return secret


@pytest.fixture(scope="module")
def sockets(service: RunningService) -> list[Listening]:
    return list(of_this_run(secret_of(service)))


def test_on_one_machine_nothing_listens_beyond_it(service: RunningService, sockets: list[Listening]) -> None:
    assert {service.rest_port, service.grpc_port} <= {one.port for one in sockets}
    assert len(sockets) > 15, "Ray's own are among them"
    assert unexpected(sockets, ()) == []


def test_nobody_gets_past_haproxy(service: RunningService, sockets: list[Listening]) -> None:
    """Whatever port of Ray Serve's is asked, over HTTP and gRPC, answers no request for a collection."""
    inner = [one for one in sockets if re.search("ServeReplica|ProxyActor", one.process)]
    assert len(inner) > 5
    for one in inner:
        assert not _answers_http(one.port), one
        assert not _answers_call_by_http(one.port), one
        for metadata in ((), (("application", "inference"),), ((HEADER, "x"),)):
            assert not _answers_grpc(one.port, metadata), one
    assert _answers_http(service.rest_port)
    assert not _answers_call_by_http(service.rest_port), "nor may a caller say that a request is one of gRPC's"
    assert _answers_grpc(service.grpc_port, ())


def _answers_http(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/collections", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _answers_call_by_http(port: int) -> bool:
    headers = {PROTOCOL: "grpc", "content-type": "application/grpc"}
    url = f"http://127.0.0.1:{port}/qdrant.Collections/List"
    try:
        return httpx.post(url, headers=headers, content=b"\0" * 5, timeout=5).is_success
    except httpx.HTTPError:
        return False


def _answers_grpc(port: int, metadata: tuple[tuple[str, str], ...]) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            q.CollectionsStub(channel).List(q.ListCollectionsRequest(), metadata=metadata, timeout=5)
        except grpc.RpcError:
            return False
    return True


def _open_to_others(folder: Path) -> Iterator[Path]:
    """What others may read or write in a folder, as far as they get; a folder that is closed hides what is in it."""
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if folder.is_symlink() or not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    yield folder
    if folder.is_dir():
        for path in folder.iterdir():
            yield from _open_to_others(path)


def test_private_files_are_private(service: RunningService) -> None:
    data = Path(service.variables["QDRANT_INFERENCE_DATA"])
    assert any(data.iterdir())
    for path in [data, *data.rglob("*")]:
        assert not stat.S_IMODE(path.lstat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO), path
    run = next(parent for parent in service.logs.parents if parent.name.startswith("qi-"))
    assert list(_open_to_others(run)) == []
    (token,) = run.glob("token")
    assert stat.S_IMODE(token.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_the_generated_configuration_ends_every_wait(service: RunningService) -> None:
    run = next(parent for parent in service.logs.parents if parent.name.startswith("qi-"))
    (file,) = run.glob("*/haproxy.cfg")
    config = file.read_text()
    waits = {name: int(s) for name, s in re.findall(r"^ *timeout (client|http-\S+) (\d+)s$", config, re.MULTILINE)}
    assert waits["client"] == waits["http-request"] == 15
    assert waits["http-keep-alive"] <= 90


def test_ray_starts_only_what_one_machine_needs(service: RunningService) -> None:
    commands = [" ".join(process.cmdline()) for process in service.family()]
    assert any("raylet" in command for command in commands)
    assert not [command for command in commands if "monitor.py" in command or "dashboard.py" in command]


def test_models_are_called_over_sockets_that_nobody_else_can_open(service: RunningService) -> None:
    replicas = [process for process in service.family() if "all-minilm" in " ".join(process.cmdline())]
    (folder,) = {Path(process.environ()[channel.VARIABLE]) for process in replicas}
    (path,) = [path for replica in replicas for path in folder.glob(f"*-{replica.pid}")]
    assert path.is_socket()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o700)

    def callers() -> int:
        connections = [one for replica in replicas for one in replica.net_connections("unix")]
        return sum(Path(str(one.laddr)).parent == folder for one in connections) - 1  # one of them listens

    body = {"model": "sentence-transformers/all-minilm-l6-v2", "input": "a text"}
    for _ in range(50):
        httpx.post(f"http://127.0.0.1:{service.rest_port}/v1/embeddings", json=body, timeout=30).raise_for_status()
        if callers():
            return
        time.sleep(0.1)
    pytest.fail("no caller came to the socket")


def test_no_process_calls_its_makers(service: RunningService) -> None:
    """Ray, onnxruntime and huggingface_hub are told so in every process, and no connection leaves the machine."""
    silent = {"RAY_USAGE_STATS_ENABLED": "0", "ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    ours = 0
    for process in service.family():
        try:
            told, open_to = process.environ(), [one.raddr for one in process.net_connections("inet") if one.raddr]
        except psutil.Error:
            continue
        if told.get(SECRET):
            ours += 1
            assert told.items() >= silent.items(), process
        assert [address for address in open_to if not _is_here(address.ip)] == [], process
    assert ours > 5


def _is_here(ip: str) -> bool:
    address = ip_address(ip)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
