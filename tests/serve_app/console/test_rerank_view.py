"""The playground's rerankers, and their examples."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import Watched

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_documents_are_ranked(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await expect(page.locator(".chips button", has_text="reranker")).to_have_count(0)
    await page.get_by_role("button", name="Rerank", exact=True).click()
    await page.get_by_label("Query", exact=True).fill("bake cookies")
    await page.get_by_label("Documents, one a line").fill("oil of a car\n\nhow to bake cookies\nbake bread")
    await page.get_by_role("button", name="Rank", exact=True).click()
    ranked = page.locator(".found li p")
    await expect(ranked).to_have_text(["how to bake cookies", "bake bread", "oil of a car"])
    await expect(page.locator(".found .score b").first).to_have_text("0.731")


async def test_a_refusal_is_shown(with_collections: Watched) -> None:
    page = await with_collections.open("playground?model=r%2Freranker")

    async def refuse(route: Any) -> None:
        await route.fulfill(status=429, json={"message": "too much waits"})

    await page.route("**/v2/rerank", refuse)
    await page.get_by_role("button", name="Rank", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_text("too much waits")
    with_collections.problems.clear()  # the browser writes a refusal down as an error


async def test_examples_rerank(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    await expect(page.get_by_label("Model").locator("option", has_text="reranker")).to_have_count(0)
    await page.get_by_role("button", name="Rerank", exact=True).click()
    await expect(page.get_by_role("group", name="Program")).to_contain_text('"model": "r/reranker"')
    await expect(page.get_by_label("Collection")).to_have_count(0)
    await expect(page.get_by_role("button", name="Rust", exact=True)).to_have_count(0)
    await page.get_by_role("button", name="curl", exact=True).click()
    await expect(page.get_by_role("group", name="Rerank")).to_contain_text("/v2/rerank")
