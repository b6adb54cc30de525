"""The examples of the README and of the quick start, run as they stand there."""

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

PAGES = "".join((HOME / page).read_text(encoding="utf-8") for page in ("README.md", "docs/quick-start.md"))


def block(name: str, service: RunningService) -> str:
    """The code block that a page marks with a name, sent to the service of the tests."""
    found = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", PAGES, re.DOTALL)
    assert found, f"no page marks a block '{name}'"
    return re.sub("http://localhost:63[34]3", service.rest_address, found.group(1))


@pytest.fixture(autouse=True)
def clean(service: RunningService) -> Iterator[None]:
    yield
    with closing(QdrantClient(url=service.rest_address, check_compatibility=False)) as client:
        for name in ("recipes", "circles", "notes", "articles"):
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


@pytest.mark.parametrize("name", ["python", "quick start", "hybrid"])
def test_a_python_example_prints_what_its_page_says(name: str, service: RunningService) -> None:
    code = block(name, service)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    (said,) = re.findall(r"print\(.*\)  # (.*)", code)
    assert run.stdout.strip() == said
