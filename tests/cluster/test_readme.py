"""The README's examples, run as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from qdrant_client import QdrantClient

from deployments.catalogue.catalogue import HOME
from tests.support.running import RunningService

README = (HOME / "README.md").read_text(encoding="utf-8")


def block(name: str, service: RunningService) -> str:
    """The code block that the README marks with a name, sent to the service of the tests."""
    found = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README marks no block '{name}'"
    return found.group(1).replace("http://localhost:6333", service.rest_address)


@pytest.fixture(autouse=True)
def clean(service: RunningService) -> Iterator[None]:
    yield
    with closing(QdrantClient(url=service.rest_address, check_compatibility=False)) as client:
        for name in ("recipes", "circles"):
            client.delete_collection(name)


def shape(value: Any) -> Any:
    """A JSON value without its numbers."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def test_the_curl_example_answers_as_the_readme_shows(service: RunningService) -> None:
    script = block("curl", service)
    run = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=True)
    created, stored, found = (json.loads(part) for part in re.sub(r"\}\{", "}\n{", run.stdout).splitlines())
    assert created["result"] is True
    assert stored["result"]["status"] == "completed"
    expected = json.loads(block("curl answer", service))
    assert shape(found) == shape(expected)
    assert found["result"]["points"][0]["id"] == expected["result"]["points"][0]["id"]
    assert found["usage"] == expected["usage"]


def test_the_python_example_prints_what_the_readme_says(service: RunningService) -> None:
    code = block("python", service)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    (said,) = re.findall(r"print\(.*\)  # (.*)", code)
    assert run.stdout.strip() == said
