"""The view of all models: states, costs, switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from serve_app.cluster.model_states import ModelState
from tests.support.browser import ADMIN, KEYS, MASTER, Watched, console, listening
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_model_that_failed_says_why(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.states["d/Dense"] = ModelState("failed", "model.safetensors: the sha256 differs", 0, 0)
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        await expect(row).to_contain_text("failed")
        await expect(row).to_contain_text("the sha256 differs")
        health = page.get_by_role("region", name="Health")
        await expect(health).to_contain_text("d/Dense: model.safetensors: the sha256 differs. The log of its replicas")


async def test_what_goes_beyond_the_allowance_is_shown_with_its_cost(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    for _ in range(10):
        await there.query(text="x" * 7_993)  # with its prefix 8,000 tokens, of which 100 are free in all
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        await expect(row).to_contain_text("$2.00")  # for a million
        await expect(row).to_contain_text("80,000% of 100 · $0.160")
        await expect(row.get_by_role("img", name="80,000 of 100 free tokens used")).to_have_class("meter over")
        await expect(page.get_by_role("region", name="Summary")).to_contain_text("$0.160 cost")
        await watched.open("usage")
        await page.get_by_role("button", name="Cost").click()
        await expect(page.locator(".headline")).to_contain_text("$0.160")
        allowance = page.locator(".allowances").get_by_role("row", name="d/Dense")
        await expect(allowance).to_contain_text("80K of 100")
        await expect(allowance.get_by_role("cell").last).to_have_text("$0.160")


async def test_the_days_shown_go_on_at_midnight(world: Callable[..., World], chromium: Browser) -> None:
    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.clock.set_fixed_time("2026-03-31T23:59:59Z")
        async with watched.page.expect_request("**/inference/usage?from=2026-03-02&*"):
            page = await watched.open()
        await page.clock.set_fixed_time("2026-04-01T00:00:01Z")
        async with page.expect_request("**/inference/usage?from=2026-03-03&*"):
            await page.clock.set_fixed_time("2026-04-01T00:00:02Z")


@pytest.mark.parametrize(
    ("keys", "shown", "why_not"),
    [
        (KEYS, ADMIN, None),
        (KEYS, MASTER, "You need the admin key to turn switches and to add models."),
        (
            {"qdrant_api_key": MASTER},
            MASTER,
            "Nobody can turn switches or add models until QDRANT_INFERENCE_ADMIN_KEY is set.",
        ),
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
        await expect(switch).to_have_attribute("aria-disabled", "true" if why_not else "false")
        await expect(switch).to_have_accessible_description(why_not or "")
        await switch.focus()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("dialog", name="Switch off")).to_have_count(0 if why_not else 1)


async def test_a_switch_stays_where_it_was_put_while_other_replicas_learn_of_it(
    world: Callable[..., World], chromium: Browser
) -> None:
    on = {"result": {"inference": True, "models": {}, "collections": {}}}

    async def late(route: Any) -> None:
        await (route.continue_() if route.request.method == "PUT" else route.fulfill(json=on))

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/settings", late)
        page = await watched.open()
        switch = page.get_by_role("switch", name="d/Dense")
        await switch.click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(switch).not_to_be_checked()
        await page.evaluate("""() => {
          const one = document.querySelector('[role=switch][aria-label="d/Dense"]');
          const watcher = new MutationObserver(() => (window.turned ??= performance.now()));
          watcher.observe(one, { attributeFilter: ["aria-checked"] });
          window.began = performance.now();
        }""")
        await expect(switch).to_be_checked()  # what a replica says that should know by then
        assert await page.evaluate("turned - began") > 1500


async def test_the_health_of_the_service_is_told_with_what_to_do(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    there.qdrant.status = 500
    await there.health.check()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        health = page.get_by_role("region", name="Health")
        await expect(health.locator(".failed")).to_have_text("Qdrant")
        await expect(health).to_contain_text("answers with status 500. Look whether Qdrant runs")


@pytest.mark.parametrize("width", [390, 1440])
async def test_a_long_name_leaves_the_switch_on_the_page(with_collections: Watched, width: int) -> None:
    listed = {"result": {"collections": [{"name": "x" * 255}]}}
    await with_collections.page.route("**/collections", lambda route: route.fulfill(json=listed))
    await with_collections.page.set_viewport_size({"width": width, "height": 800})
    page = await with_collections.open()
    box = await page.get_by_role("switch", name="Inference for the collection").bounding_box()
    assert box
    assert box["x"] + box["width"] <= width
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_columns_stay_where_they_are_whatever_happens_now(
    world: Callable[..., World], chromium: Browser
) -> None:
    now = {"tokens_per_s": 0.0}

    async def live(route: Any) -> None:
        answer = await (await route.fetch()).json()
        answer["result"]["models"] = {"d/Dense": {**answer["result"]["total"], **now}}
        await route.fulfill(json=answer)

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/live", live)
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        places = (
            "() => [...document.querySelectorAll('.models th[scope=col]')].map((one) => one.getBoundingClientRect().x)"
        )
        await expect(row).to_contain_text("\N{EN DASH}")
        before = await page.evaluate(places)
        now["tokens_per_s"] = 123_456_789.0
        await expect(row).to_contain_text("123.5M/s")
        assert await page.evaluate(places) == before
