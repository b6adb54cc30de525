"""What stands between opening the console and its first row; `benchmarks.console` measures how long that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")

ON_THE_WIRE = 100_000
TRANSFERRED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, one) => sum + one.transferSize, 0)"""


async def test_the_first_row_waits_for_the_page_and_two_answers(world: Callable[..., World], chromium: Browser) -> None:
    """So for four things one after the other: the page, its modules, who asks, and the models; and for few bytes."""
    asked: list[str] = []

    async def answer(route: Any) -> None:
        if route.request.resource_type == "fetch":
            asked.append(urlsplit(route.request.url).path)
            if asked[-1] not in {"/inference/access", "/inference/models"}:
                return  # never answered
        await route.continue_()

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/*", answer)
        page = await watched.open()
        await expect(page.locator(".models tbody tr").first).to_be_visible()
        assert asked[0] == "/inference/access"
        assert asked.count("/inference/access") == 1
        assert len(asked) > len({"/inference/access", "/inference/models"}), "nothing else was held up"
        assert 0 < await page.evaluate(TRANSFERRED) < ON_THE_WIRE
