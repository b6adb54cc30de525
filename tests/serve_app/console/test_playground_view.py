"""The playground: embed and compare, search a collection."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import Watched

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_image_that_is_taken_back_is_not_searched_with(with_collections: Watched) -> None:
    page = await with_collections.open("playground?tab=search")
    await page.get_by_role("button", name="Image", exact=True).click()
    image = page.get_by_label("Image", exact=True)
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
    await expect(page.get_by_role("alert")).to_have_count(0)
    with_collections.problems.clear()  # the browser writes an aborted request down as an error


async def test_an_image_that_cannot_be_read_is_told(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await page.evaluate("() => { FileReader.prototype.readAsDataURL = function () { this.onerror(); }; }")
    files = {"name": "red.png", "mimeType": "image/png", "buffer": b"red"}
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await expect(page.get_by_role("alert")).to_contain_text("The browser cannot read red.png.")


async def test_one_broken_image_leaves_the_others(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    for number in (3, 2):
        await page.get_by_role("button", name=f"Remove input {number}").click()
    # What stands in the files is their base64: the loader of these tests takes `bad...` for no image.
    names = {"good.png": b"good", "broken.png": base64.b64decode("badbadba"), "fine.png": b"fine"}
    files = [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in names.items()]
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Embed", exact=True).click()
    vision = page.get_by_role("article", name="c/clip-vision")
    await expect(vision.get_by_role("alert")).to_have_text("Input 3: not an image")
    await expect(vision.get_by_role("img", name="Dense vector of 4 numbers")).to_have_count(2)
    matrix = page.get_by_role("table", name="Similarity to")
    await expect(matrix.get_by_role("row")).to_have_count(4)  # its head, a text and two images


async def test_who_embeds_nothing_is_told_what_is_missing(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    embed = page.get_by_role("button", name="Embed", exact=True)
    for _ in range(3):
        await page.get_by_role("button", name="Remove input 1").click()
    await embed.click()
    await expect(page.get_by_role("alert")).to_have_text("Write a text or add an image first.")
    await page.get_by_role("button", name="Add text").click()
    await embed.click()
    await expect(page.get_by_label("Text 1")).to_be_focused()
    await page.keyboard.type("hello")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("article", name="d/Dense").locator("mark").first).to_be_visible()
    chosen = page.locator('.chips button[aria-pressed="true"]')
    for _ in range(await chosen.count()):
        await chosen.first.click()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("alert")).to_have_text("Choose a model first.")


async def test_five_inputs_are_compared_whole_and_on_an_absolute_scale(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    for number in (4, 5):
        await page.get_by_role("button", name="Add text").click()
        await page.get_by_label(f"Text {number}").fill("How do I bake chocolate chip cookies?")
    await page.get_by_role("button", name="Embed", exact=True).click()
    dense = page.get_by_role("table", name="Similarity to d/Dense")
    await expect(dense.get_by_role("cell")).to_have_count(26)  # the corner, too
    assert await dense.evaluate("table => table.parentElement.scrollWidth <= table.parentElement.clientWidth")
    strong = "cell => Number(cell.style.background.match(/var\\(--c2\\) (\\d+)%/)[1])"
    cells = dense.locator("tbody tr").first.locator("td")
    shown = [(float(await cell.inner_text()), await cell.evaluate(strong)) for cell in (await cells.all())[1:]]
    assert shown[2] == (1.0, 46)  # the same text
    for cosine, strength in shown:
        assert strength == pytest.approx(46 * max(cosine, 0), abs=1)


async def test_a_vector_and_the_request_can_be_copied(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    await page.get_by_role("button", name="Embed", exact=True).click()
    await page.get_by_role("button", name="Copy: the vector of input 1 by d/Dense").click()
    assert len(await page.evaluate("JSON.parse(copied)")) == 4
    await page.get_by_role("button", name="Copy: the vector of input 1 by s/sparse").click()
    assert await page.evaluate("Object.keys(JSON.parse(copied))") == ["indices", "values"]
    await page.get_by_label("Text 1").fill("it's $HOME")
    await page.get_by_role("button", name="Copy: the request as curl").click()
    command = await page.evaluate("copied")
    assert _sent_by(command)["inputs"][0] == {"text": "it's $HOME"}


def _sent_by(command: str) -> Any:
    """The body that a shell gives to curl."""
    shown = command.replace("curl", "printf '%s\\n'")
    said = subprocess.run(["sh", "-c", shown], capture_output=True, check=True)
    return json.loads(said.stdout.splitlines()[-1])
