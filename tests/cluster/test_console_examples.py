"""The console's examples, as the page fills them in, run as somebody would who copied them.

C# needs the .NET SDK and is not run. Go, Java and Rust are run where COMPILED_EXAMPLES is set, as `make test-examples`
does: their clients are fetched and compiled first, which takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from qdrant_client import QdrantClient

from tests.browser import Watched, browser, console
from tests.cluster.running import RunningService

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1200)]

EXPECTED = {
    "sentence-transformers/all-minilm-l6-v2": "cookies",
    "qdrant/bm25": "cookies",
    "starter/splade-tiny": "cookies",
    "random/colbert": "",  # its weights are random
    "starter/clip-shapes-text": "red circle",
    "starter/clip-shapes-vision": "red circle",
}
LANGUAGES = ("http", "curl", "python", "typescript", "rust", "java", "csharp", "go")

FILLED = """async ([name, language, collection, grpcPort, needsKey]) => {
  const load = (file) => import(new URL(file, location.href.split("#")[0]));
  const [{ valuesFor }, { fill, steps }, { models }] =
    await Promise.all(["example_values.js", "template.js", "state.js"].map(load));
  const template = await (await fetch(`examples/${language}.txt`)).text();
  const model = models.value.find((one) => one.name === name);
  return steps(fill(template, valuesFor(model, models.value, { collection, grpcPort, needsKey })));
}"""

Fill = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def watched(service: RunningService) -> AsyncIterator[Watched]:
    async with browser() as running, console(running, service.rest_address) as one:
        page = await one.open("examples")
        await page.get_by_label("Model").wait_for()
        yield one


@pytest.fixture
def collection(service: RunningService) -> Iterator[str]:
    name = f"example-{uuid.uuid4().hex[:8]}"
    yield name
    client = QdrantClient(url=service.rest_address, check_compatibility=False)
    client.delete_collection(name)
    client.close()


async def filled(watched: Watched, service: RunningService, model: str, language: str, collection: str) -> list[str]:
    """The codes of an example, as the page shows them."""
    parts = await watched.page.evaluate(FILLED, [model, language, collection, service.grpc_port, False])
    return [part["code"] for part in parts]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_example_is_filled_and_shows_no_key(watched: Watched, language: str) -> None:
    for model in EXPECTED:
        for needs_key in (False, True):
            asked = [model, language, "books", 6334, needs_key]
            text = "\n".join(part["code"] for part in await watched.page.evaluate(FILLED, asked))
            assert model in text
            assert "books" in text
            assert not re.search(r"\{\{[#^/\w]|undefined|\bnull\b", text)
            assert bool(re.search("QDRANT_API_KEY|YOUR_API_KEY", text)) == needs_key


def run(command: Sequence[str], folder: Path) -> str:
    """What a command says; it has to succeed."""
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def send(code: str) -> Any:
    """The answer to a request as a file of type .http has it."""
    head, _, body = code.partition("\n\n")
    (method, url), *headers = (line.split(" ", 1) for line in head.splitlines())
    fields = {name.rstrip(":"): value for name, value in headers}
    request = urllib.request.Request(url, body.encode(), fields, method=method)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@pytest.mark.parametrize("model", EXPECTED)
async def test_http(watched: Watched, service: RunningService, collection: str, model: str) -> None:
    answers = [send(code) for code in await filled(watched, service, model, "http", collection)]
    assert EXPECTED[model] in answers[-1]["result"]["points"][0]["payload"]["text"]


@pytest.mark.parametrize("model", EXPECTED)
async def test_curl(watched: Watched, service: RunningService, collection: str, model: str, tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    codes = await filled(watched, service, model, "curl", collection)
    answers = [json.loads(run(["sh", "-c", code], tmp_path)) for code in codes]
    assert [answer["status"] for answer in answers] == ["ok"] * 3
    assert EXPECTED[model] in answers[-1]["result"]["points"][0]["payload"]["text"]


@pytest.mark.parametrize("model", EXPECTED)
async def test_python(watched: Watched, service: RunningService, collection: str, model: str, tmp_path: Path) -> None:
    _, program = await filled(watched, service, model, "python", collection)
    assert EXPECTED[model] in run([sys.executable, "-c", program], tmp_path)


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>e</groupId><artifactId>e</artifactId><version>1</version><dependencies>%s</dependencies></project>"""
ARTIFACT = "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>"


def _pom(install: str) -> str:
    return POM % "".join(ARTIFACT % tuple(found) for found in re.findall(r"'([\w.]+):([\w-]+):([\d.]+)'", install))


def _prepare_node(folder: Path, install: str) -> None:
    run(["sh", "-c", f"npm init -y && {install}"], folder)


def _prepare_go(folder: Path, install: str) -> None:
    run(["sh", "-c", f"go mod init example && {install}"], folder)


def _prepare_java(folder: Path, install: str) -> None:
    (folder / "pom.xml").write_text(_pom(install))
    run(["mvn", "-q", "-B", "dependency:copy-dependencies"], folder)


def _prepare_rust(folder: Path, install: str) -> None:
    run(["sh", "-c", f"cargo init --name example && {install.replace(chr(10), ' && ')}"], folder)


Toolchain = tuple[str, Callable[[Path, str], None], str, Sequence[str]]
"""The program that has to be there, what makes a folder ready, the program's file, and how to run it."""

TOOLCHAINS: Mapping[str, Toolchain] = {
    "typescript": ("npm", _prepare_node, "example.mjs", ["node", "example.mjs"]),
    "go": ("go", _prepare_go, "main.go", ["go", "run", "-mod=mod", "."]),
    "java": ("mvn", _prepare_java, "Example.java", ["java", "-cp", "target/dependency/*", "Example.java"]),
    "rust": ("cargo", _prepare_rust, "src/main.rs", ["cargo", "run", "--quiet"]),
}


@pytest.mark.parametrize("language", TOOLCHAINS)
async def test_the_other_languages(watched: Watched, service: RunningService, tmp_path: Path, language: str) -> None:
    tool, prepare, file, command = TOOLCHAINS[language]
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    if language != "typescript" and not os.environ.get("COMPILED_EXAMPLES"):
        pytest.skip("takes minutes: make test-examples")
    client = QdrantClient(url=service.rest_address, check_compatibility=False)
    name = f"example-{language}"
    for number, (model, expected) in enumerate(EXPECTED.items()):
        install, program = await filled(watched, service, model, language, name)
        if not number:
            prepare(tmp_path, install)
        (tmp_path / file).write_text(program + "\n")
        try:
            assert expected in run(command, tmp_path), model
        finally:
            client.delete_collection(name)
    client.close()
