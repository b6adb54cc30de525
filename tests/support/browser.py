"""A real browser for tests of the console's page: Debian's chromium, or the one that Playwright brings."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Error, Page, async_playwright, expect

from tests.support.management import World
from tests.support.serving import served_here

MASTER, READER, ADMIN = "the-key", "read-only-key", "admin-key"
KEYS = {"qdrant_api_key": MASTER, "qdrant_read_only_api_key": READER, "qdrant_inference_admin_key": ADMIN}
NARROW: Any = {"width": 390, "height": 844}
"""The window of a telephone."""

PATIENCE_MS = 30_000
"""For how long a test waits for what it expects to see: a machine that does other things, too, is no failure."""

expect.set_options(timeout=PATIENCE_MS)

_NAMES = ("chromium", "chromium-browser", "google-chrome")


# Each text's contrast against what it stands on, where it is less than WCAG's AA asks for (4.5, large text 3).
TOO_PALE = """() => {
  const dot = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours, opacity = 1) => {
    dot.clearRect(0, 0, 1, 1);
    for (const [n, colour] of colours.entries()) {
      dot.globalAlpha = n === colours.length - 1 ? opacity : 1;
      dot.fillStyle = colour;
      dot.fillRect(0, 0, 1, 1);
    }
    return [...dot.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const pale = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const excepted = element.closest(":disabled, dialog:not([open])");
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || excepted) continue;
    const behind = [];
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) {
      behind.unshift(getComputedStyle(one).backgroundColor);
      opacity *= getComputedStyle(one).opacity;
    }
    const style = getComputedStyle(element);
    const [a, b] = [light(over(behind)), light(over([...behind, style.color], opacity))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    const asked = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if (contrast < asked) pale.push(`${texts.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return pale;
}"""

# What stands in a field is not its name: it needs a label.
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea, [role=img]")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.ariaLabel || one.labels?.length))
  .filter((one) => one.matches("input, select, textarea") || !(one.title || one.textContent.trim()))
  .map((one) => one.outerHTML)"""


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser; without one the test is skipped."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    async with async_playwright() as playwright:
        try:
            running = await playwright.chromium.launch(executable_path=path)
        except Error:
            pytest.skip("no browser: install Debian's chromium, or run 'playwright install chromium'")
        yield running
        await running.close()


@dataclass
class Watched:
    """A page of the console that remembers what went wrong in it and what it loaded."""

    page: Page
    home: str
    problems: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    origins: set[str] = field(default_factory=set)

    async def open(self, view: str = "models") -> Page:
        """Go to a view and wait for what it shows."""
        await self.page.goto(f"{self.home}#/{view}")
        await self.page.locator("nav").wait_for()
        return self.page

    def watch(self) -> None:
        """Begin to remember. A refusal of the Content-Security-Policy is an error of the console, too."""
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "request", lambda request: self.origins.add("{0.scheme}://{0.netloc}".format(urlsplit(request.url)))
        )
        self.page.on("response", self._weigh)

    async def _weigh(self, response: Any) -> None:
        length = response.headers.get("content-length")
        if length and "json" not in response.headers.get("content-type", ""):
            self.sizes[response.url] = int(length)


@asynccontextmanager
async def console(running: Browser, address: str, **options: Any) -> AsyncIterator[Watched]:
    """The console of a service, in a window of its own."""
    context = await running.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
    watched = Watched(await context.new_page(), f"{address}/inference/")
    watched.page.set_default_timeout(PATIENCE_MS)
    watched.watch()
    yield watched
    await watched.page.unroute_all(behavior="ignoreErrors")  # an answer that a test changes may still be on its way
    await context.close()


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[str]:
    """The world on a port of its own."""
    async with served_here(world.http) as port:
        yield f"http://127.0.0.1:{port}"
