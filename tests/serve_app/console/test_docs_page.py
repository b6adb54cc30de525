"""The API's own pages."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from serve_app.api.management import OPENAPI
from tests.support.browser import NAMELESS, NARROW, TOO_PALE, console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_operation_is_on_the_page_and_nothing_comes_from_elsewhere(
    world: Callable[..., World], chromium: Browser, scheme: str
) -> None:
    described = json.loads(OPENAPI.read_text())["paths"]
    async with (
        listening(world()) as address,
        console(chromium, address, color_scheme=scheme, viewport=NARROW) as watched,
    ):
        page = watched.page
        await page.goto(f"{address}/inference/docs#get-inference-health")
        await expect(page.locator(".operation")).to_have_count(sum(len(methods) for methods in described.values()))
        await expect(page.locator("#get-inference-health h2")).to_be_in_viewport()
        fields = page.locator("#get-inference-health details", has_text="Fields of the answer")
        await fields.locator("summary").click()
        await expect(fields).to_contain_text("result.problems[].to_do")
        assert await page.evaluate(TOO_PALE) == await page.evaluate(NAMELESS) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
        assert watched.origins == {address}
        assert watched.problems == []
