"""What runs the console's examples: requests, and programs with the tools of their languages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a command says, with more variables in its environment; it has to succeed."""
    environment = {**os.environ, **variables}
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
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
    "go": ("go", _prepare_go, "main.go", ["go", "run", "."]),
    "java": ("mvn", _prepare_java, "Example.java", ["java", "-cp", "target/dependency/*", "Example.java"]),
    "rust": ("cargo", _prepare_rust, "src/main.rs", ["cargo", "run", "--quiet"]),
}
