"""The playground's rerankers, and their examples."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.async_api import expect

from serve_app.console.page import FOLDER
from tests.support.browser import MASTER, Watched, listening
from tests.support.example_programs import run, send
from tests.support.examples import LANGUAGES, fill
from tests.support.management import World

pytestmark = pytest.mark.asyncio(loop_scope="package")

RERANKER = "r/reranker"
BEST_FIRST = ["Recipe for baking chocolate chip cookies", "Changing the oil of a car"]


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
    await expect(page.get_by_role("button", name="OpenAI", exact=True)).to_have_count(0)
    await page.get_by_role("button", name="Rust", exact=True).click()
    await expect(page.get_by_role("group", name="Program")).to_contain_text('"model": "r/reranker"')
    await expect(page.get_by_label("gRPC port")).to_have_count(0)
    await page.get_by_role("button", name="curl", exact=True).click()
    await expect(page.get_by_role("group", name="Rerank")).to_contain_text("/v2/rerank")


async def test_each_language_has_an_example(world: Callable[..., World]) -> None:
    models = (await world().ask("GET", "/inference/models")).result["models"]
    how = {"name": RERANKER, "collection": "", "grpcPort": 6334}
    asked = [{"language": f"rerank/{one}", "needsKey": key, **how} for one in LANGUAGES for key in (False, True)]
    for question, codes in zip(asked, fill("http://localhost:6333/", models, asked), strict=True):
        code = codes[-1]
        assert all(text in code for text in ("http://localhost:6333/v2/rerank", RERANKER, *BEST_FIRST)), code
        assert not re.search(r"\{\{|undefined|\bnull\b", code), code
        assert bool(re.search("QDRANT_API_KEY|YOUR_API_KEY", code)) == question["needsKey"], code
    assert len(list(FOLDER.glob("examples/rerank/*.txt"))) == len(LANGUAGES)


async def test_the_examples_rank(world: Callable[..., World], tmp_path: Path) -> None:
    """HTTP, curl, Python and JavaScript; `make test-examples` runs those that have to be compiled."""
    there = world(qdrant_api_key=MASTER)
    models = (await there.ask("GET", "/inference/models", api_key=MASTER)).result["models"]
    how = {"name": RERANKER, "collection": "", "grpcPort": 6334, "needsKey": True}
    asked = [{"language": f"rerank/{one}", **how} for one in ("http", "curl", "python", "typescript")]
    async with listening(there) as address:
        (http,), (curl,), (_, python), (typescript,) = fill(address, models, asked)
        ranked = (await asyncio.to_thread(send, http.replace("YOUR_API_KEY", MASTER)))["results"]
        assert [one["index"] for one in ranked] == [0, 1]
        (tmp_path / "example.mjs").write_text(typescript)
        commands = [[sys.executable, "-c", python], [str(compute_driver_executable()[0]), "example.mjs"]]
        for command in commands:
            said = await asyncio.to_thread(run, command, tmp_path, {"QDRANT_API_KEY": MASTER})
            assert [line.split(" ", 1)[1] for line in said.splitlines()] == BEST_FIRST
        if shutil.which("curl"):
            said = await asyncio.to_thread(run, ["sh", "-c", curl], tmp_path, {"QDRANT_API_KEY": MASTER})
            assert json.loads(said)["results"] == ranked
