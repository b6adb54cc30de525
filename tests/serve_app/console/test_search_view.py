"""The playground's search: several vectors at once, filters, samples, pictures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Watched

pytestmark = pytest.mark.asyncio(loop_scope="package")

DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


async def searched(page: Page, points: list[Any]) -> list[Any]:
    """Answer searches with these points; the bodies of the searches."""
    asked: list[Any] = []

    async def answer(route: Any) -> None:
        asked.append(route.request.post_data_json)
        await route.fulfill(json={"result": {"points": points}, "status": "ok", "time": 0.001})

    await page.route("**/points/query", answer)
    return asked


async def test_all_vectors_of_a_collection_are_searched_at_once(with_collections: Watched) -> None:
    page = with_collections.page
    asked = await searched(page, [{"id": 1, "score": 0.5, "payload": {"title": "found"}}])
    await with_collections.open("playground?tab=search")
    await page.get_by_label("Collection").select_option("named")
    await page.get_by_label("Query", exact=True).fill("round")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".found")).to_contain_text("found")
    prefetch = [(one["using"], one["query"]["model"]) for one in asked[0]["prefetch"]]
    assert prefetch == [("a", "d/Dense"), ("Dense", "d/Dense"), ("words", "s/sparse")]  # no model makes those of `b`
    assert asked[0]["query"] == {"fusion": "rrf"}
    await page.get_by_label("Vector").select_option("words")
    await page.get_by_label("Model").select_option("b/bm25")
    async with page.expect_response("**/points/query"):  # what the first search found is still shown
        await page.get_by_role("button", name="Search", exact=True).click()
    assert asked[1]["query"] == {"text": "round", "model": "b/bm25"}
    assert "prefetch" not in asked[1]


async def test_samples_and_filters_come_from_the_payloads(with_collections: Watched) -> None:
    page = with_collections.page
    asked = await searched(page, [])
    await with_collections.open("playground?tab=search")
    await page.get_by_role("button", name="A red circle", exact=True).click()
    await expect(page.get_by_text("No points found.")).to_be_visible()
    assert asked[0]["query"]["text"] == "A red circle"
    for number, (field, how, value) in enumerate(
        (("colour", "is not", "red"), ("size", "≥", "1"), ("new", "is", "true"))
    ):
        await page.get_by_role("button", name="Add filter").click()
        await page.get_by_label(f"Field {number + 1}").select_option(field)
        await page.get_by_label(f"Condition {number + 1}").select_option(how)
        await page.get_by_label(f"Value {number + 1}").fill(value)
    async with page.expect_response("**/points/query"):  # that the first search found nothing is still shown
        await page.get_by_role("button", name="Search", exact=True).click()
    assert asked[1]["filter"] == {
        "must_not": [{"key": "colour", "match": {"value": "red"}}],
        "must": [{"key": "size", "range": {"gte": 1}}, {"key": "new", "match": {"value": True}}],
    }
    shown = await page.get_by_role("group", name="The request").inner_text()
    assert json.loads(shown.partition("\n")[2]) == asked[1]


async def test_points_with_pictures_are_shown_as_pictures(with_collections: Watched) -> None:
    page = with_collections.page
    elsewhere = "https://example.org/x.png"
    await searched(page, [{"id": 1, "score": 0.9, "payload": {"caption": "a dot", "thumbnail": DOT, "url": elsewhere}}])
    await with_collections.open("playground?tab=search")
    await page.get_by_label("Query", exact=True).fill("a dot")
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(page.get_by_role("img", name="a dot")).to_be_visible()
    assert await page.get_by_role("img", name="a dot").evaluate("picture => picture.naturalWidth") == 1
    await expect(page.locator(".found")).to_contain_text(elsewhere)
    await expect(page.locator(".found")).not_to_contain_text("base64")


DROP = """(name) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["red"], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


async def test_an_image_that_is_dropped_is_the_query(with_collections: Watched) -> None:
    page = with_collections.page
    asked = await searched(page, [])
    await with_collections.open("playground?tab=search")
    await expect(page.get_by_role("button", name="Image", exact=True)).to_be_visible()
    await page.evaluate(DROP, "red.png")
    await expect(page.get_by_role("img", name="red.png")).to_be_visible()
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(page.get_by_text("No points found.")).to_be_visible()
    assert asked[0]["query"] == {"image": "cmVk", "model": "c/clip-vision"}
