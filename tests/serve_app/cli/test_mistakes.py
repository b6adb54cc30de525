"""Every command with the mistakes that people make: each is told in a line of our own words, with what to do next."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import ray.serve.schema  # noqa: F401  before a test changes what it reads in the environment
from typer.testing import CliRunner

from serve_app.cli.main import app
from serve_app.cli.neighbours import is_reached, qdrant_trouble
from tests.support import own_model

FILES = {
    "broken.yaml": "a: 1\n  b: [\n",
    "misspelt.yaml": "http_option:\n  port: 1\nproxy_locaton: x\napplications: []\n",
    "args.yaml": (
        "applications:\n- name: x\n  import_path: serve_app.app:build\n  args:\n    catalog: x\n    models: 3\n"
        "  deployments:\n  - name: Ingress\n    user_config: {timeout: 3}\n"
    ),
    "settings.yaml": (
        "applications:\n- name: x\n  import_path: serve_app.app:build\n  deployments:\n"
        "  - name: Ingress\n    user_config:\n      timeout: 3\n  - name: qdrant--bm52\n"
    ),
    "service.yaml": "kind: RayService\nspec:\n  serveConfigV2: |\n    http_options:\n      prot: 1\n",
    "text.yaml": "just text\n",
    "empty.yaml": "",
    "own.yaml": (
        "models:\n- name: a/b\n  famly: dense\n  licence: x\n  model_card_url: y\n  context_window: many\n"
        "  sources: [{whel: x}]\n"
    ),
    "folder/config.json": "{",
    "outer/inner/config.json": "{}",
}
RAW = ("Errno", "Traceback", "pydantic", "validation error", "Input should", "Value error", "Extra inputs", "Field req")

MISTAKES: list[tuple[str, tuple[str, ...]]] = [
    ("up --config {t}/none.yaml", ("none.yaml: no such file or directory",)),
    ("up --config {t}", ("is a directory",)),
    ("up --config {t}/broken.yaml", ("broken.yaml:2: this is no YAML: mapping values are not allowed here",)),
    ("up --config {t}/binary", ("binary: this is no text in UTF-8",)),
    (
        "up --config {t}/misspelt.yaml",
        (
            "misspelt.yaml:1: http_option: unknown key (did you mean 'http_options'?)",
            "misspelt.yaml:3: proxy_locaton: unknown key (did you mean 'proxy_location'?)",
        ),
    ),
    (
        "up --config {t}/args.yaml",
        (
            "args.yaml:5: applications.0.args.catalog: unknown key (did you mean 'catalogue'?)",
            "args.yaml:6: applications.0.args.models: expected a list",
        ),
    ),
    ("up --config {t}/text.yaml", ("text.yaml:1: expected keys with values",)),
    ("up --config {t}/empty.yaml", ("found 0 documents",)),
    (
        "up --catalogue {t}/own.yaml",
        (
            "own.yaml:2: models.0.family: is missing",
            "own.yaml:3: models.0.famly: unknown key (did you mean 'family'?)",
            "own.yaml:6: models.0.context_window: expected a whole number",
            "own.yaml:7: models.0.sources.0: a source has one of the keys wheel, hub, folder",
        ),
    ),
    ("up --catalogue {t}/none.yaml", ("none.yaml: no such file or directory",)),
    ("up --models qdrant/bm52", ("--models: no model 'qdrant/bm52' here; available: qdrant/bm25,",)),
    ("up --port many", ("Invalid value for '--port'", "expected a whole number")),
    ("up --port 99999", ("must be less than or equal to 65535",)),
    ("up --qdrant localhost:6333", ("error: --qdrant: expected a URL such as http://localhost:6333",)),
    (
        "up --data {t}/text.yaml",
        ("text.yaml: the embedded store and the ledger cannot be written here: not a directory",),
    ),
    (
        "up --qdrant http://localhost:9 --data {t}/text.yaml",
        ("text.yaml: the embedded store and the ledger cannot be written here: not a directory",),
    ),
    ("up --qdrant http://localhost:6333", ("is that of the service itself", "--port 6")),
    ("up --qdrnt x", ("No such option: --qdrnt", "--qdrant")),
    ("demo --url http://localhost:1", ("no Qdrant answers at http://localhost:1: Connection refused", "inference up")),
    ("demo --url ftp://x", ("ftp://x: Unknown scheme",)),
    ("store --folder /proc/x", ("/proc/x: the embedded store cannot be written here",)),
    ("store --rest-port 0", ("must be greater than or equal to 1",)),
    ("store migrate --folder {t}/folder", ("there is no store of the older form here",)),
    ("models list --catalogue {t}/none.yaml", ("none.yaml: no such file or directory",)),
    ("models list --catalogue {t}/own.yaml", ("own.yaml:2: models.0.family: is missing",)),
    *(
        (f"models {command} minilm", ("starter.yaml: no model 'minilm' here; available: sentence-transformers/all-mi",))
        for command in ("show", "pull", "verify", "remove", "bench")
    ),
    ("models show", ("Missing argument 'name'",)),
    ("models lst", ("No such command 'lst'. Did you mean 'list'?",)),
    ("models bench qdrant/bm25 --precision float8", ("precision: must be 'auto', 'float32', 'bfloat16' or 'float16'",)),
    ("models add {t}/folder", ("/folder: there are no weights: neither model.safetensors nor model.onnx",)),
    ("models add {t}/outer", ("/outer: there is no config.json", "did you mean", "/outer/inner?")),
    ("models add {t}/folder --family dens", ("'dens' is not one of 'dense'",)),
    ("models add none", ("none: this is neither a folder here nor the name of a repository",)),
    ("config check {t}/none.yaml", ("none.yaml: no such file or directory",)),
    ("config check {t}/service.yaml", ("service.yaml:5: http_options.prot: unknown key (did you mean 'port'?)",)),
    (
        "config check {t}/settings.yaml",
        (
            "settings.yaml:7: applications.0.deployments.0.user_config.timeout: unknown key (did you mean",
            "settings.yaml:8: applications.0.deployments.1.name: no deployment 'qdrant--bm52'",
        ),
    ),
    (
        "config check configs/serve-local.yaml --node-memory lots",
        ("'lots' is no size of memory; expected one such as",),
    ),
    ("config show configs/none.yaml", ("none.yaml: no such file or directory", "configs/models/starter.yaml")),
    ("confg check", ("No such command 'confg'. Did you mean 'config'?",)),
]


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files of the mistakes; what `up` sets for its processes ends with the test."""
    before, mask = dict(os.environ), os.umask(0o022)
    monkeypatch.setenv("QDRANT_INFERENCE_DATA", str(tmp_path / "data"))
    for name in ("QDRANT_URL", "QDRANT_API_KEY"):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)
    os.umask(mask)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    return folder


def said(command: str) -> tuple[int, str]:
    """What a command answers, without the frames and line breaks of the terminal."""
    result = CliRunner().invoke(app, command.split())
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(("command", "expected"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_a_mistake_is_told_in_plain_words_with_its_place(command: str, expected: tuple[str, ...], files: Path) -> None:
    status, text = said(command.format(t=files))
    assert status in {1, 2}, text
    assert [part for part in expected if part not in text] == [], text
    assert [word for word in RAW if word in text] == [], text


def test_every_fault_has_a_line_of_its_own(files: Path) -> None:
    output = CliRunner().invoke(app, ["config", "check", str(files / "settings.yaml")]).output
    assert [line.split(": ")[0] for line in output.splitlines()] == ["error", "error"]


class Root(http.server.BaseHTTPRequestHandler):
    """What Qdrant says at `/`."""

    def do_GET(self) -> None:
        body = json.dumps({"title": "qdrant - vector search engine", "version": "1.18.3"}).encode()
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Console(Root):
    """What a service of ours says at `/inference/`."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Inference</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def neighbour(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of somebody who answers HTTP."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("neighbour", [Root], indirect=True)
def test_a_port_that_qdrant_has_comes_with_the_command_that_puts_inference_in_front_of_it(neighbour: int) -> None:
    for command in (f"up --port {neighbour}", f"up --port {neighbour} --qdrant http://localhost:{neighbour}"):
        status, text = said(command)
        assert status == 1
        assert f"error: port {neighbour} (REST) is taken by process {os.getpid()}" in text
        assert f"Qdrant 1.18.3 runs on {neighbour}. Put inference in front of it:" in text
        assert f"qdrant-inference up --qdrant http://localhost:{neighbour} --port " in text


@pytest.mark.parametrize("neighbour", [Console], indirect=True)
def test_a_port_that_a_service_of_ours_has_comes_with_its_console(neighbour: int) -> None:
    status, text = said(f"up --port {neighbour}")
    assert status == 1
    assert f"qdrant-inference already runs here: http://localhost:{neighbour}/inference/" in text


@pytest.mark.parametrize("neighbour", [http.server.BaseHTTPRequestHandler], indirect=True)
def test_a_port_that_a_stranger_has_comes_with_another_one(neighbour: int) -> None:
    other = re.search(
        r"stop it, or choose other ports: qdrant-inference up --port (\d+)", said(f"up --port {neighbour}")[1]
    )
    assert other
    assert int(other[1]) > neighbour
    assert "choose other ports: qdrant-inference store --rest-port" in said(f"store --rest-port {neighbour}")[1]


class Ready(Root):
    """A service of ours that has just started, and whose Qdrant is away."""

    said = ("not asked yet", "Qdrant cannot be reached")

    def do_GET(self) -> None:
        body = f"[-] qdrant: {self.said[0]}\n[+] qdrant/bm25: ready\nsome shards are not ready".encode()
        Ready.said = self.said[1:] or self.said
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("neighbour", [Ready], indirect=True)
def test_a_qdrant_that_is_away_at_the_start_is_told_once_it_was_asked(neighbour: int) -> None:
    assert qdrant_trouble(neighbour) == "Qdrant cannot be reached"
    Ready.said = ("does not answer within 2 s",)
    assert qdrant_trouble(neighbour) == "Qdrant does not answer within 2 s"


class Front(Root):
    """HAProxy before it knows a replica, and then a service."""

    statuses: ClassVar[list[int]] = []
    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(self.statuses.pop(0))
        self.end_headers()


@pytest.mark.parametrize("neighbour", [Front], indirect=True)
def test_a_service_is_there_once_it_is_reached_through_its_front(neighbour: int) -> None:
    Front.statuses[:] = [404, 500, 503, 200]
    Front.paths.clear()
    assert [is_reached(neighbour, "127.0.0.1") for _ in range(4)] == [False, False, False, True]
    Front.statuses[:] = [503, 200]
    assert [is_reached(neighbour, "127.0.0.1", with_store=True) for _ in range(2)] == [False, True]
    assert Front.paths == ["/livez"] * 4 + ["/readyz"] * 2


def test_a_good_file_ends_with_a_tick() -> None:
    status, text = said("config check configs/serve-local.yaml --node-cpus 1")
    assert status == 0
    assert text.endswith("serve-local.yaml is valid")
    assert "nodes of 1 CPU and" in text


def test_a_window_that_no_file_tells_is_called_a_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    own, plain, tuned = (
        tmp_path / "own.yaml",
        own_model.write(tmp_path / "plain"),
        own_model.fine_tuned(tmp_path / "tuned"),
    )
    status, text = said(f"models add {plain} --catalogue {own}")
    assert status == 0, text
    assert re.search(r"the window of \d+ tokens is a guess", text)
    assert f"qdrant-inference up --catalogue {own}" in text
    assert "guess" not in said(f"models add {tuned} --catalogue {own}")[1]
