"""The page's files, and the page with what a real service seldom shows: keys, tenants, failures."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, expect

from serve_app.console import page as served
from serve_app.model_states import ModelState
from tests.browser import browser, console
from tests.serve_app.console.conftest import World

FILES = [path for path in sorted(served.FOLDER.rglob("*")) if path.is_file()]
OURS = [path for path in FILES if "vendor" not in path.parts]
VENDORED = (served.FOLDER / "vendor" / "VENDORED.md").read_text()
MASTER, READER, ADMIN = "the-key", "read-only-key", "admin-key"
KEYS = {"qdrant_api_key": MASTER, "qdrant_read_only_api_key": READER, "qdrant_inference_admin_key": ADMIN}


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
        if path.suffix in {".js", ".mjs"}:
            assert f'"{path.relative_to(served.FOLDER).as_posix()}"' in page


async def test_every_file_of_the_page_is_served(world: Callable[..., World]) -> None:
    there = world()
    for path in FILES:
        if path.suffix != ".md":
            answer = await there.ask("GET", f"/inference/{path.relative_to(served.FOLDER).as_posix()}")
            assert (answer.status, answer.content) == (200, path.read_bytes()), path


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[str]:
    """The world on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(world.http, port=port, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as running:
        yield running


async def test_a_wrong_key_is_refused_and_a_right_one_asked_for_once(
    world: Callable[..., World], chromium: Browser
) -> None:
    async with listening(world(**KEYS)) as address, console(chromium, address) as watched:
        page = await watched.open()
        dialog = page.get_by_role("dialog", name="API key")
        await expect(dialog.get_by_label("Key", exact=True)).to_be_focused()
        await page.keyboard.press("Escape")
        await dialog.get_by_label("Key", exact=True).fill("wrong")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_have_text("Invalid API key or JWT")
        await dialog.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        assert await page.evaluate("[JSON.stringify(localStorage), document.cookie]") == ["{}", ""]
        await page.get_by_role("button", name="Forget key").click()
        await expect(dialog).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(
    ("keys", "shown", "why_not"),
    [
        (KEYS, ADMIN, None),
        (KEYS, MASTER, "The admin key is needed to change this"),
        ({"qdrant_api_key": MASTER}, MASTER, "No admin key is set: set QDRANT_INFERENCE_ADMIN_KEY"),
    ],
)
async def test_switches_say_who_may_turn_them(
    world: Callable[..., World], chromium: Browser, keys: dict[str, str], shown: str, why_not: str | None
) -> None:
    async with listening(world(**keys)) as address, console(chromium, address) as watched:
        page = await watched.open()
        await page.get_by_label("Key", exact=True).fill(shown)
        await page.keyboard.press("Enter")
        switch = page.get_by_role("switch", name="d/Dense")
        await expect(switch).to_be_enabled(enabled=why_not is None)
        assert await switch.get_attribute("title") == why_not


async def test_a_model_that_failed_says_why(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.states["d/Dense"] = ModelState("failed", "model.safetensors: the sha256 differs", 0, 0)
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        await expect(row).to_contain_text("failed")
        await expect(row).to_contain_text("the sha256 differs")


async def test_a_service_that_goes_away_is_told_and_forgotten_when_it_is_back(
    world: Callable[..., World], chromium: Browser
) -> None:
    async with listening(world()) as address, console(chromium, address) as watched:
        page = await watched.open()
        await page.route("**/inference/live", lambda route: route.abort())
        await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
        await page.unroute("**/inference/live")
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_ledger_without_its_database_is_told(world: Callable[..., World], chromium: Browser) -> None:
    behind = {"behind": True, "behind_s": 12.0, "waiting_tokens": 3400, "database": "postgresql"}

    async def late(route: Any) -> None:
        answer = await (await route.fetch()).json()
        answer["result"]["ledger"] = behind
        await route.fulfill(json=answer)

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/live", late)
        page = await watched.open()
        await expect(page.get_by_role("alert")).to_contain_text("has been away for 12 s")
        await expect(page.get_by_role("alert")).to_contain_text("3.4K tokens wait")


async def test_a_refused_change_is_told_until_it_is_closed(world: Callable[..., World], chromium: Browser) -> None:
    async def away(route: Any) -> None:
        if route.request.method == "PUT":
            await route.fulfill(status=503, json={"status": {"error": "the database is away"}})
        else:
            await route.continue_()

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/settings", away)
        page = await watched.open()
        await page.get_by_role("switch", name="d/Dense").click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(page.get_by_role("alert")).to_contain_text("the database is away")
        await page.wait_for_timeout(2500)
        await page.get_by_role("alert").get_by_role("button", name="Close").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_role("switch", name="d/Dense")).to_be_checked()
