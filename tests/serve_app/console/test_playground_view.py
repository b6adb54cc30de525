"""The playground: embed and compare, search a collection."""

from __future__ import annotations

from playwright.async_api import expect

from tests.support.browser import Watched


async def test_an_image_that_is_taken_back_is_not_searched_with(with_collections: Watched) -> None:
    page = await with_collections.open("playground?tab=search")
    await page.get_by_label("Model").select_option("c/clip-vision")
    image = page.get_by_label("Image")
    await image.set_input_files({"name": "red.png", "mimeType": "image/png", "buffer": b"red"})
    request = page.get_by_role("group", name="The request")
    await expect(request).to_contain_text('"image": "cmVk')
    await image.set_input_files([])
    await expect(request).to_contain_text('"image": ""')


DROP = """([name, type, place]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["red"], name, { type }));
  const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  document.querySelector(place).dispatchEvent(drop);
  return drop.defaultPrevented;
}"""


async def test_an_image_may_be_dropped_anywhere_and_chooses_the_models_that_read_it(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    vision = page.locator(".chips button", has_text="clip-vision")
    await expect(vision).to_have_attribute("aria-pressed", "false")
    assert await page.evaluate(DROP, ["red.png", "image/png", "h2"])
    await expect(page.get_by_role("img", name="red.png")).to_be_visible()
    for side in ("clip-vision", "clip-text"):
        await expect(page.locator(".chips button", has_text=side)).to_have_attribute("aria-pressed", "true")
    await page.evaluate(DROP, ["notes.txt", "text/plain", "h2"])
    await expect(page.get_by_role("alert")).to_contain_text("notes.txt is not an image.")
    await page.evaluate(DROP, ["blue.png", "image/png", "h2"])
    await expect(page.get_by_role("alert")).to_have_count(0)
    await with_collections.open("usage")
    assert await page.evaluate(DROP, ["red.png", "image/png", "body"]), "the browser would leave the page for the file"


async def test_the_trouble_of_an_action_is_forgotten_when_it_works_again(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await page.route("**/inference/playground", lambda route: route.abort())
    await page.get_by_role("button", name="Embed", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    await page.unroute("**/inference/playground")
    await page.get_by_role("button", name="Embed", exact=True).click()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.route("**/inference/usage?*", lambda route: route.abort())
    await with_collections.open("usage")
    await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    await page.unroute("**/inference/usage?*")
    await expect(page.get_by_role("alert")).to_have_count(0, timeout=10_000)
    with_collections.problems.clear()  # the browser writes an aborted request down as an error


async def test_an_image_that_cannot_be_read_is_told(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await page.evaluate("() => { FileReader.prototype.readAsDataURL = function () { this.onerror(); }; }")
    files = {"name": "red.png", "mimeType": "image/png", "buffer": b"red"}
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await expect(page.get_by_role("alert")).to_contain_text("The browser cannot read red.png.")
