"""The view of usage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import KEYS, MASTER, NARROW, console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_many_tenants_share_the_last_bar(world: Callable[..., World], chromium: Browser, tmp_path: Path) -> None:
    names = [f"tenant-{number:02}" for number in range(20)]
    keys = [f"{{name: {name}, keys: ['{hashlib.sha256(name.encode()).hexdigest()}']}}" for name in names]
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text("tenants:\n" + "".join(f"- {key}\n" for key in keys))
    there = world(**KEYS, qdrant_inference_tenants=tenants)
    for name in names:
        await there.query(api_key=name)
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open("usage")
        await page.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Tenants").click()
        await expect(page.locator(".legend")).to_contain_text("9 others")
        await expect(page.locator(".sums tbody tr")).to_have_count(20)


async def test_who_hides_a_series_sees_the_others_as_they_are(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    await there.query(text="x" * 80)
    await there.query("b/bm25", "x" * 20)
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open("usage")
        bars = page.locator(".chart rect")
        await expect(bars).to_have_count(2)
        await page.get_by_role("button", name="d/Dense").click()
        await expect(bars).to_have_count(1)
        # What is left stands on the ground, and the axis fits it.
        bottom = await bars.evaluate("bar => bar.y.baseVal.value + bar.height.baseVal.value")
        assert bottom == pytest.approx(
            await page.locator(".chart .base").evaluate("line => line.y1.baseVal.value"), 0.1
        )
        await expect(page.locator(".chart .left").last).to_have_text("20")
        await page.get_by_role("button", name="d/Dense").click()
        await expect(bars).to_have_count(2)


@pytest.mark.parametrize("price", [0.0, 2.0])
async def test_prices_and_allowances_are_shown_if_anything_costs_anything(
    world: Callable[..., World], chromium: Browser, price: float
) -> None:
    there = world()
    await there.query()
    await there.ledger.tick()

    async def priced(route: Any) -> None:
        answer = await (await route.fetch()).json()
        for model in answer["result"]["models"]:
            model["price_per_million_tokens"] = price
        await route.fulfill(json=answer)

    async with listening(there) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/models", priced)
        page = await watched.open()
        times = 1 if price else 0
        await expect(page.get_by_role("columnheader", name="On", exact=True)).to_be_visible()
        await expect(page.get_by_role("columnheader", name="Price")).to_have_count(times)
        await expect(page.get_by_role("columnheader", name="Free this month")).to_have_count(times)
        await watched.open("usage")
        await expect(page.locator(".sums tbody tr")).to_have_count(1)
        await expect(page.get_by_role("button", name="Cost")).to_have_count(times)
        await expect(page.get_by_text("Free allowance")).to_have_count(times)


async def test_a_narrow_screen_shows_whole_names(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    await there.query()
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address, viewport=NARROW) as watched:
        for view in ("usage", "live"):
            page = await watched.open(view)
            name = page.locator(".sums tbody th .name").first
            assert await name.evaluate("one => one.getBoundingClientRect().height") < 40, view
            assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], view
