"""What the page says above every view: what does not work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


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
    behind = {"behind": True, "behind_s": 12.0, "waiting_tokens": 3400, "database": "postgresql", "split": False}

    async def late(route: Any) -> None:
        answer = await (await route.fetch()).json()
        answer["result"]["ledger"] = behind
        await route.fulfill(json=answer)

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/live", late)
        page = await watched.open()
        await expect(page.get_by_text("So far 12 s and 3.4K tokens.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_text(re.compile(r"^The ledger cannot reach its database\.\D*$"))


async def test_a_ledger_for_each_node_is_told(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.ledger._count_nodes = lambda: 2
    await there.ledger.look_around()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        await expect(page.get_by_role("alert")).to_contain_text("each node counts for itself")


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
