"""Models that are added while somebody looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from serve_app.cluster.additions import Step
from tests.support.browser import console, listening
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
