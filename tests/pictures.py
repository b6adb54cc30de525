"""Takes the pictures of the console in `docs/console`: `python -m tests.pictures`, on a service of its own.

The service has the demo's data, and searches go on while the pictures are taken. It takes two minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Browser, Page
from qdrant_client import QdrantClient, models
from rich.console import Console

from deployments.catalogue.catalogue import HOME
from serve_app.demo import walkthrough
from serve_app.demo.collections import CAPTION_MODEL, IMAGES, TEXT_MODELS, TEXTS
from tests.support.browser import Watched, browser, console
from tests.support.drawings import png
from tests.support.running import RunningService

FOLDER = HOME / "docs" / "console"
LIVE_S = 40
QUESTIONS = ("read a zip archive", "parse a date", "random numbers", "copy an object", "sort a list", "send a mail")


def main() -> None:
    """Start the service, fill it, take the pictures, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        service = RunningService(Path(folder)).start()
        try:
            walkthrough.tell(service.rest_address, Console(), lambda *_: True)
            with searches(service.rest_address):
                asyncio.run(take_all(service.rest_address))
        finally:
            service.stop()


@contextmanager
def searches(address: str) -> Iterator[None]:
    """A few searches a second, until the end."""
    over = threading.Event()

    def search() -> None:
        client = QdrantClient(url=address, cloud_inference=True, check_compatibility=False, timeout=60)
        asked = itertools.cycle(itertools.product(QUESTIONS, TEXT_MODELS.items()))
        for number, (question, (vector, model)) in enumerate(asked):
            client.query_points(TEXTS, query=models.Document(text=question, model=model), using=vector)
            if number % 4 == 0:
                caption = models.Document(text="a red star on a white background", model=CAPTION_MODEL)
                client.query_points(IMAGES, query=caption)
            if over.wait(0.05 + 0.04 * (number % 7)):
                break
        client.close()

    thread = threading.Thread(target=search)
    thread.start()
    yield
    over.set()
    thread.join()


async def take_all(address: str) -> None:
    """All pictures."""
    async with browser() as running:
        async with console(running, address, viewport={"width": 1280, "height": 800}) as watched:
            live = await watched.open("live")
            await live.wait_for_timeout(LIVE_S * 1000)
            await live.set_viewport_size({"width": 1280, "height": 1130})
            await save(live, "live")
            await live.set_viewport_size({"width": 1280, "height": 800})
            await take_views(watched)
        await take_search(running, address)
        async with console(running, address, viewport={"width": 1280, "height": 800}) as watched:
            await watched.page.goto(f"{watched.home}docs#get-inference-health")
            await save(watched.page, "api")
        async with console(running, address, viewport={"width": 390, "height": 840}) as narrow:
            await save(await narrow.open(), "narrow")
            await narrow.open("live")
            await save(narrow.page, "narrow-live")


async def take_views(watched: Watched) -> None:
    """The views, each as a visitor finds it."""
    page = await watched.open()
    await page.set_viewport_size({"width": 1280, "height": 570})
    await save(page, "models")
    await page.get_by_role("switch", name=TEXT_MODELS["splade"]).click()
    await save(page, "switch")
    await page.get_by_role("button", name="Cancel").click()
    await page.set_viewport_size({"width": 1280, "height": 800})
    await watched.open("usage")
    await page.get_by_role("button", name="Day", exact=True).click()
    await save(page, "usage")
    await watched.open("examples?what=hybrid")
    await save(page, "examples")
    await watched.open("playground")
    await page.get_by_role("button", name="Remove input 3").click()
    await embedded(page, "playground", 1150)
    await page.reload()
    for text in ("a red circle on a white background", "a blue circle on a white background"):
        await page.get_by_role("button", name="Remove input 1").click()
        await page.get_by_role("button", name="Add text").click()
        await page.get_by_label("Text 3").fill(text)
    await page.get_by_role("button", name="Remove input 1").click()
    files = [{"name": f"{colour}.png", "mimeType": "image/png", "buffer": png(colour)} for colour in ("red", "blue")]
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await embedded(page, "images", 800)


async def embedded(page: Page, name: str, height: int) -> None:
    """The playground after its button was pressed."""
    await page.set_viewport_size({"width": 1280, "height": height})
    for _ in range(2):  # the first time is that of models that have slept
        await page.get_by_role("button", name="Embed", exact=True).click()
        await page.get_by_role("button", name="Embed", exact=True).wait_for()
    await page.locator("mark").first.wait_for()
    await save(page, name)
    await page.set_viewport_size({"width": 1280, "height": 800})


async def take_search(running: Browser, address: str) -> None:
    """Searches: for texts with a filter, in dark colours; and for images."""
    size = {"width": 1280, "height": 800}
    async with console(running, address, viewport=size, color_scheme="dark") as watched:
        page = await watched.open("playground?tab=search")
        await page.get_by_label("Collection").select_option(TEXTS)
        await page.get_by_label("Query", exact=True).fill("how do I read a zip archive")
        await page.get_by_role("button", name="Add filter").click()
        await page.get_by_label("Field 1").select_option("kind")
        await page.get_by_label("Value 1").fill("class")
        await page.get_by_role("button", name="Search", exact=True).click()
        await page.locator(".found li").first.wait_for()
        await save(page, "search-dark")
    async with console(running, address, viewport=size) as watched:
        page = await watched.open("playground?tab=search")
        await page.get_by_label("Collection").select_option(IMAGES)
        await page.get_by_label("Query", exact=True).fill("a red star on a white background")
        await page.get_by_role("button", name="Search", exact=True).click()
        await page.locator(".found img").first.wait_for()
        await save(page, "search-images")


async def save(page: Page, name: str) -> None:
    """A picture of what is to be seen, when it has come to rest."""
    await page.wait_for_timeout(1500)
    await page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
