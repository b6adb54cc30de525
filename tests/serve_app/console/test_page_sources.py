"""What the page is made of: the files that others have published, and our own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from serve_app.console import page as served
from tests.support.management import World

FILES = [path for path in sorted(served.FOLDER.rglob("*")) if path.is_file()]


OURS = [path for path in FILES if "vendor" not in path.parts]


VENDORED = (served.FOLDER / "vendor" / "VENDORED.md").read_text()


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in {".mjs", ".css", ".js"} and path not in OURS]
)
def test_a_vendored_file_is_the_published_one(path: Any) -> None:
    row = next(line for line in VENDORED.splitlines() if line.startswith(f"| `{path.name}`"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() in row


def test_each_vendored_package_has_its_version_and_its_licence() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in VENDORED.splitlines() if line.startswith("| `")
    ]
    for _, package, version, licence, *_ in rows:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        text = (served.FOLDER / "vendor" / f"LICENSE.{package.split('/')[-1]}.txt").read_text()
        assert licence.split("-")[0] in text


@pytest.mark.parametrize(
    "path", [path for path in OURS if path.suffix in {".html", ".js", ".css"}], ids=lambda p: p.name
)
def test_nothing_is_fetched_from_elsewhere_and_nothing_stands_inline(path: Any) -> None:
    text = path.read_text()
    assert not re.search(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(]?(?:https?:)?//""", text)
    assert not re.search(r"<script>|<style|\bstyle=\"|\son\w+=\"|\beval\(|innerHTML", text)


def test_every_module_is_fetched_at_once() -> None:
    page = (served.FOLDER / "index.html").read_text()
    for path in FILES:
        if path.suffix in {".js", ".mjs"} and path.name != "docs.js":  # the page of the API has it
            assert f'"{path.relative_to(served.FOLDER).as_posix()}"' in page


def test_the_console_with_all_its_examples_has_less_than_200_kilobytes() -> None:
    """Uncompressed; on the wire it is two fifths of it. The API's pages add files of their own."""
    other = {"docs.html", "docs.js", "docs.css"}
    own = [path for path in FILES if path.name not in other and "LICENSE" not in path.name and path.suffix != ".md"]
    assert sum(path.stat().st_size for path in own) < 200_000


async def test_every_file_of_the_page_is_served(world: Callable[..., World]) -> None:
    there = world()
    for path in FILES:
        if path.suffix != ".md":
            answer = await there.ask("GET", f"/inference/{path.relative_to(served.FOLDER).as_posix()}")
            assert (answer.status, answer.content) == (200, path.read_bytes()), path
