"""The live view: the last three minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from serve_app.ledger.live_rates import WHOLE, LastMinute, Moment
from tests.support.browser import console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")

LINES = """() => [...document.querySelectorAll(".chart .line")]
  .map((line) => line.getAttribute("d").split(/[ML]/).length - 1)"""


async def test_what_was_is_there_after_a_reload(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    now = time.time()
    for back in range(170, 0, -2):
        minute = LastMinute()
        minute.add(now - back, {of: Moment(1, 100) for of in ("d/Dense", WHOLE)})
        there.ledger.history.note(now - back, lambda minute=minute: [minute.snapshot(now, {})])  # type: ignore[misc]
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open("live")
        for _ in range(2):
            await expect(page.locator(".legend").first).to_contain_text("d/Dense")
            assert all(points > 80 for points in (await page.evaluate(LINES))[:1])
            await page.reload()


async def test_where_nothing_was_an_axis_has_no_figures(world: Callable[..., World], chromium: Browser) -> None:
    async with listening(world()) as address, console(chromium, address) as watched:
        page = await watched.open("live")
        await expect(page.get_by_text("No inference in the last three minutes")).to_have_count(2)
        figures = await page.locator(".chart .left").all_text_contents()
        assert [figure.split()[0] for figure in figures] == ["0"] * 4


async def test_failures_and_what_waits_are_shown_for_each_model_and_replica(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    figures = {"tokens_per_s": 5.0, "requests_per_s": 1.0, "p50_ms": 4.0, "p95_ms": 9.0}
    loaded = {**figures, "errors_per_s": 0.3, "refused_per_s": 2.5, "waiting_tokens": 4200}

    async def busy(route: Any) -> None:
        answer = await (await route.fetch()).json()
        replicas = [{"name": name, **loaded} for name in ("3f9a0c", "77be01")]
        answer["result"].update(total=loaded, models={"d/Dense": loaded}, replicas=replicas)
        await route.fulfill(json=answer)

    async with listening(there) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/live", busy)
        page = await watched.open("live")
        now = page.get_by_role("region", name="Now")
        for text in ("4.2K", "0.3", "2.5"):
            await expect(now).to_contain_text(text)
        for name in ("d/Dense", "3f9a0c", "77be01"):
            row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))
            await expect(row.get_by_role("cell").last).to_have_text("2.5")


async def test_the_keyboard_reads_a_chart(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    await there.query()
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open("live")
        chart = page.get_by_role("img", name="Tokens per second over the last three minutes")
        await chart.focus()
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator(".chart .cursor")).to_have_count(1)
