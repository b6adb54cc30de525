"""A browser, and consoles in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser

from deployments.providers.providers import Providers
from tests.support.browser import Watched, browser, console, listening
from tests.support.management import World
from tests.support.provider_sites import LocalProviders, ProviderSite


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests here; each has a window of its own."""
    async with browser() as running:
        yield running


PLAIN: dict[str, Any] = {"vectors": {"size": 4, "distance": "Cosine"}}


NAMED: dict[str, Any] = {
    "vectors": {name: {"size": size, "distance": "Cosine"} for name, size in (("a", 4), ("Dense", 4), ("b", 5))},
    "sparse_vectors": {"words": {}},
}


@pytest_asyncio.fixture(loop_scope="package")
async def site() -> AsyncIterator[ProviderSite]:
    """All external providers, in the loop of the browser."""
    made = ProviderSite()
    await made.start()
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="package")
async def outside(site: ProviderSite) -> AsyncIterator[LocalProviders]:
    """The deployment that calls them, in the same."""
    providers = Providers([site.host])
    await providers.reconfigure({"timeout_s": 5})
    yield LocalProviders(providers)
    await providers.close()


POINTS: list[dict[str, Any]] = [
    {
        "id": number,
        "payload": {"title": f"A {colour} circle. It is round.", "colour": colour, "size": number, "new": number > 1},
    }
    for number, colour in enumerate(("red", "blue", "green"))
]


@pytest_asyncio.fixture(loop_scope="package")
async def with_collections(world: Callable[..., World], chromium: Browser) -> AsyncIterator[Watched]:
    """A console that finds collections: `named` has several vectors, the others one of four numbers without a name."""
    names = ["books", "more & more", "named"]

    async def params(route: Any) -> None:
        found = NAMED if route.request.url.endswith("/named") else PLAIN
        await route.fulfill(json={"result": {"config": {"params": found}}})

    async with listening(world()) as address, console(chromium, address) as watched:
        listed = {"result": {"collections": [{"name": name} for name in names]}}
        await watched.page.route("**/collections", lambda route: route.fulfill(json=listed))
        await watched.page.route("**/collections/*", params)
        await watched.page.route("**/points/scroll", lambda route: route.fulfill(json={"result": {"points": POINTS}}))
        yield watched
        assert watched.problems == []
