"""Models that are added while somebody looks, or by who looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from serve_app.cluster.additions import Step
from tests.support.browser import ADMIN, KEYS, MASTER, NAMELESS, TOO_PALE, console, listening
from tests.support.management import World, card

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_model_that_is_added_is_shown_with_its_progress_and_then_in_the_table(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    ready = Step("ready", cards=[card("shop/products", "sparse", context_window=8)])
    there.cluster.steps = [Step("downloading", "model.safetensors", 41_000_000, 133_000_000), ready]
    there.cluster.may_end.clear()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        assert (await there.ask("POST", "/inference/models", {"hub": "shop/products"})).status == 200
        added = page.get_by_role("region", name="Added models")
        await expect(added).to_contain_text("shop/products: downloading")
        await expect(added).to_contain_text("model.safetensors 39.1 MB of 127 MB")
        there.cluster.may_end.set()
        await expect(page.get_by_role("button", name="shop/products", exact=True)).to_be_visible()
        await expect(added).to_have_count(0)


async def test_one_that_failed_says_why(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.cluster.steps = [Step("failed", reason="a vector is empty")]
    assert (await there.ask("POST", "/inference/models", {"hub": "shop/products"})).status == 200
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        await expect(page.get_by_role("region", name="Added models")).to_contain_text("a vector is empty")


async def test_a_model_is_added_with_the_form_and_removed_after_a_question(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    there.cluster.steps = [Step("ready", cards=[card("shop/products-small", "sparse", context_window=8)])]
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        form = page.get_by_role("region", name="Add a model")
        await form.get_by_label("Repository").fill("shop/products")
        await form.get_by_label("Kind").select_option("sparse")
        await form.get_by_label("Keep a replica running").check()
        async with page.expect_request(lambda request: request.method == "POST") as sent:
            await form.get_by_role("button", name="Add model").click()
        wanted = {"hub": "shop/products", "family": "sparse", "deployment": {"autoscaling_config": {"min_replicas": 1}}}
        assert (await sent.value).post_data_json == wanted
        row = page.get_by_role("button", name="shop/products-small", exact=True)
        await row.click()
        await expect(form.get_by_label("Repository")).to_have_value("")
        await page.get_by_role("button", name="Remove model").click()
        dialog = page.get_by_role("dialog", name="Remove shop/products?")
        await dialog.get_by_label("Delete the files").check()
        await dialog.get_by_role("button", name="Remove").click()
        await expect(row).to_have_count(0)
        assert there.cluster.forgotten == ["shop/products-small"]
        assert await page.evaluate(TOO_PALE) == await page.evaluate(NAMELESS) == []


async def test_what_cannot_be_added_says_why_and_what_is_under_way_can_be_broken_off(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    there.cluster.steps = [Step("inspecting", "config.json"), Step("failed", reason="never")]
    there.cluster.may_end.clear()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        form = page.get_by_role("region", name="Add a model")
        for name in ("d/Dense", "shop/products"):
            await form.get_by_label("Repository").fill(name)
            await form.get_by_label("Repository").press("Enter")
            if name == "d/Dense":
                await expect(form.get_by_role("alert")).to_contain_text("there is a model 'd/Dense' already")
        await expect(form.get_by_role("alert")).to_have_count(0)
        await page.get_by_role("button", name="Cancel shop/products").click()
        await expect(page.get_by_role("region", name="Added models")).to_have_count(0)
        assert there.cluster.broken_off == ["shop/products"]


async def test_only_who_may_change_settings_is_offered_to_add_and_remove(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world(**KEYS)
    there.cluster.steps = [Step("failed", reason="a vector is empty")]
    assert (await there.ask("POST", "/inference/models", {"hub": "shop/products"}, api_key=ADMIN)).status == 200
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        await page.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        added = page.get_by_role("region", name="Added models")
        await expect(added).to_contain_text("a vector is empty")
        await expect(page.get_by_role("region", name="Add a model")).to_have_count(0)
        await expect(added.get_by_role("button")).to_have_count(0)
        await page.get_by_role("button", name="Enter admin key").click()
        await page.get_by_label("Key", exact=True).fill(ADMIN)
        await page.keyboard.press("Enter")
        await added.get_by_role("button", name="Remove shop/products").click()
        await expect(added).to_have_count(0)
