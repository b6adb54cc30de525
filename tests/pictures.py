"""Takes the pictures of the console in `docs/console`: `python -m tests.pictures`, on a service of its own.

The service has the demo's data, and searches go on while the pictures are taken. It takes two minutes.
`--all FOLDER` takes every view in both themes and three widths instead, whole, for somebody to look through.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
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


WIDTHS = (1440, 1024, 390)
MODULES = frozenset({"bisect", "copy", "datetime", "heapq", "random", "shutil", "smtplib", "zipfile", "zipimport"})
"""Those that the questions are about."""


def main() -> None:
    """Start the service, fill it, take the pictures, stop it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--all", type=Path, metavar="FOLDER", help="every view, light and dark, wide and narrow")
    options.add_argument("--few", action="store_true", help="a part of the demo's texts, for a busy machine")
    given = options.parse_args()
    everything: Path | None = given.all
    if given.few:
        texts = [text for text in walkthrough.standard_library() if text.module in MODULES]
        walkthrough.standard_library = lambda: texts
    with tempfile.TemporaryDirectory() as folder:
        service = RunningService(Path(folder)).start()
        try:
            walkthrough.tell(service.rest_address, Console(), lambda *_: True)
            with searches(service.rest_address):
                if everything:
                    everything.mkdir(parents=True, exist_ok=True)
                    add_in_vain(service.rest_address)
                    asyncio.run(take_matrix(service.rest_address, everything))
                else:
                    asyncio.run(take_all(service.rest_address))
        finally:
            service.stop()


def add_in_vain(address: str) -> None:
    """An addition that fails."""
    wanted = json.dumps({"hub": "nobody/has-this"}).encode()
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{address}/inference/models", wanted, headers)).close()


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
    await page.set_viewport_size({"width": 1280, "height": 494})
    await save(page, "models")
    await page.set_viewport_size({"width": 1280, "height": 570})
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


async def take_matrix(address: str, folder: Path) -> None:
    """Every view in each theme and width."""
    async with browser() as running:
        for scheme, width in itertools.product(("light", "dark"), WIDTHS):
            size = {"width": width, "height": 900}
            async with console(running, address, viewport=size, color_scheme=scheme) as watched:
                for name, take in MATRIX.items():
                    await watched.page.goto("about:blank")
                    await take(watched)
                    await watched.page.evaluate("scrollTo(0, 0)")
                    await watched.page.wait_for_timeout(1500)
                    await watched.page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)


def opened(view: str) -> Callable[[Watched], Awaitable[object]]:
    """Goes to a view."""
    return lambda watched: watched.open(view)


async def opened_row(watched: Watched) -> None:
    """The models with one opened, and the question before a switch."""
    page = await watched.open()
    await page.get_by_role("button", name=CAPTION_MODEL, exact=True).click()


async def asked(watched: Watched) -> None:
    """The question before a switch."""
    page = await watched.open()
    await page.get_by_role("switch", name=CAPTION_MODEL).click()


async def over_time(watched: Watched) -> None:
    """Usage of a day, with its figures as a table."""
    page = await watched.open("usage")
    await page.get_by_role("button", name="Day", exact=True).click()
    await page.get_by_text("as a table").click()


async def tried(watched: Watched) -> None:
    """The playground with outputs."""
    page = await watched.open("playground")
    await page.get_by_role("button", name="Embed", exact=True).click()
    await page.locator("mark").first.wait_for()


async def searched(watched: Watched) -> None:
    """A search with a filter."""
    page = await watched.open("playground?tab=search")
    await page.get_by_label("Collection").select_option(TEXTS)
    await page.get_by_role("button", name="Add filter").click()
    await page.get_by_label("Query", exact=True).fill("how do I read a zip archive")
    await page.get_by_role("button", name="Search", exact=True).click()
    await page.locator(".found li").first.wait_for()


async def searched_images(watched: Watched) -> None:
    """A search for images."""
    page = await watched.open("playground?tab=search")
    await page.get_by_label("Collection").select_option(IMAGES)
    await page.get_by_label("Query", exact=True).fill("a red star on a white background")
    await page.get_by_role("button", name="Search", exact=True).click()
    await page.locator(".found img").first.wait_for()


async def api(watched: Watched) -> None:
    """The API's pages."""
    await watched.page.goto(f"{watched.home}docs")
    await watched.page.locator(".operation").first.wait_for()


MATRIX: Mapping[str, Callable[[Watched], Awaitable[object]]] = {
    "models": opened("models"),
    "model": opened_row,
    "switch": asked,
    "usage": opened("usage"),
    "over-time": over_time,
    "live": opened("live"),
    "examples": opened("examples?what=hybrid&language=rust"),
    "playground": tried,
    "search": searched,
    "search-images": searched_images,
    "api": api,
}
"""What is looked at, by name."""


if __name__ == "__main__":
    main()
