"""How the page's files are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.console import page
from tests.support.management import KEYS, MakeWorld


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    files = tmp_path / "page"
    (files / "deeper").mkdir(parents=True)
    (files / "index.html").write_text("<p>hello")
    (files / "deeper" / "app.js").write_text("1")
    (files / "notes.py").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    monkeypatch.setattr(page, "FOLDER", files)
    return files


async def test_the_page_needs_no_key(world: MakeWorld, folder: Path) -> None:
    here = world(**KEYS)
    assert (await here.ask("GET", "/inference/")).content == b"<p>hello"
    assert (await here.ask("GET", "/inference/deeper/app.js")).headers["content-type"].startswith("text/javascript")


async def test_the_page_may_load_nothing_from_elsewhere(world: MakeWorld, folder: Path) -> None:
    headers = (await world().ask("GET", "/inference/")).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["../outside.js", "deeper/../../outside.js", "/etc/passwd", "%2e%2e/outside.js", "notes.py", "deeper", "nothing.js",
     "\x00.js", "/" * 5 + "outside.js"],
)  # fmt: skip
async def test_no_file_outside_of_the_folder_is_served(world: MakeWorld, folder: Path, path: str) -> None:
    answer = await world().ask("GET", f"/inference/{path}")
    assert answer.status == 404
    assert b"secret" not in answer.content


async def test_the_head_of_a_file_is_told_alone(world: MakeWorld, folder: Path) -> None:
    here = world()
    answer = await here.ask("HEAD", "/inference/")
    assert (answer.status, answer.content, answer.headers["content-length"]) == (200, b"", "8")
    assert answer.headers["etag"] == (await here.ask("GET", "/inference/")).headers["etag"]
    assert (await here.ask("HEAD", "/inference/nothing.js")).status == 404


async def test_an_unchanged_file_is_not_sent_again(world: MakeWorld, folder: Path) -> None:
    here = world()
    tag = (await here.ask("GET", "/inference/")).headers["etag"]
    assert (await here.ask("GET", "/inference/", if_none_match=tag)).status == 304
    (folder / "index.html").write_text("<p>new")
    assert (await here.ask("GET", "/inference/", if_none_match=tag)).content == b"<p>new"
