"""The console's page in a real browser, on a real service with real models."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from deployments.catalogue.catalogue import Catalogue
from tests.support.browser import NAMELESS, TOO_PALE, Watched, browser, console
from tests.support.drawings import png
from tests.support.running import RunningService

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINILM = "sentence-transformers/all-minilm-l6-v2"
SPLADE = "starter/splade-tiny"
VIEWS = ("models", "usage", "live", "examples", "playground", "playground?tab=search", "playground?tab=rerank")
BYTES = 200_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def watched(chromium: Browser, service: RunningService) -> AsyncIterator[Watched]:
    """The console; nothing may go wrong in it, and nothing may come from elsewhere."""
    async with console(chromium, service.rest_address, permissions=["clipboard-read", "clipboard-write"]) as one:
        yield one
        assert one.problems == []
        assert one.origins == {service.rest_address}


@pytest.fixture(scope="module")
def client(service: RunningService) -> Iterator[QdrantClient]:
    client = QdrantClient(url=service.rest_address, cloud_inference=True, timeout=60, check_compatibility=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def recipes(client: QdrantClient) -> Iterator[str]:
    """A collection of three texts, with a dense and two sparse vectors each."""
    name = f"recipes-{uuid.uuid4().hex[:8]}"
    client.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=384, distance=models.Distance.COSINE)},
        sparse_vectors_config={"splade": models.SparseVectorParams()},
    )
    texts = ["Recipe for baking chocolate chip cookies", "How to change the oil of a car", "A history of Rome"]
    of = {"dense": MINILM, "splade": SPLADE}
    client.upsert(
        name,
        [
            models.PointStruct(
                id=n, payload={"text": text}, vector={v: models.Document(text=text, model=m) for v, m in of.items()}
            )
            for n, text in enumerate(texts)
        ],
    )
    yield name
    client.delete_collection(name)


async def test_the_service_says_where_its_console_is(service: RunningService) -> None:
    assert f"http://localhost:{service.rest_port}/inference/" in service.said


async def test_the_models_are_shown_with_what_they_are_and_took(
    watched: Watched, recipes: str, starter: Catalogue
) -> None:
    page = await watched.open()
    for card in starter:
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name=card.name, exact=True))
        await expect(row).to_contain_text("ready")
        for fact in (card.context_window, card.dimensions, card.licence):
            await expect(row).to_contain_text(str(fact or ""))
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name=MINILM, exact=True))
    await expect(row.get_by_role("img", name=re.compile(r"[1-9]\d* tokens in 30 days"))).to_be_visible()
    await expect(page.get_by_role("columnheader", name="Price")).to_have_count(0)  # all models are free
    health = page.get_by_role("region", name="Health")
    await expect(health.locator(".ready")).to_have_text(["Embedded store", "Ledger", "Disk"])
    await page.get_by_role("button", name=MINILM).click()
    await expect(page.get_by_role("link", name="https://huggingface.co")).to_be_visible()
    await expect(page.get_by_text(recipes)).to_be_visible()


async def test_usage_is_shown_as_bars_and_sums_and_can_be_downloaded(watched: Watched, recipes: str) -> None:
    page = await watched.open("usage")
    await expect(page.locator(".chart rect").first).to_be_visible()
    for span in ("Day", "Month", "Week"):
        await page.get_by_role("button", name=span, exact=True).click()
        await expect(page.locator(".sums").get_by_role("row", name=MINILM)).to_contain_text("%")
    await page.get_by_text("Tokens by day as a table").click()
    await expect(page.get_by_role("group", name="Figures of the chart").get_by_role("row")).to_have_count(1 + 7)
    await page.get_by_role("button", name="Tenants").click()
    await expect(page.locator(".sums").get_by_role("row", name="no name")).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download CSV").click()
    content = (await (await download.value).path()).read_text()
    assert MINILM in {row["model"] for row in csv.DictReader(io.StringIO(content))}


async def test_what_happens_now_is_shown_live(watched: Watched, client: QdrantClient, recipes: str) -> None:
    page = await watched.open("live")
    client.query_points(recipes, query=models.Document(text="cookies", model=MINILM), using="dense")
    await expect(page.locator(".sums").get_by_role("row", name=MINILM)).to_contain_text("ms")
    await expect(page.locator(".chart svg")).to_have_count(4)
    await expect(page.locator(".chart .line").first).to_be_visible()
    await expect(page.locator(".figures")).to_contain_text(re.compile(r"\d ms.*\d ms"))
    await expect(page.get_by_text("up to date")).to_be_visible()


async def test_a_model_is_switched_off_after_a_question_and_on_again(
    watched: Watched, client: QdrantClient, recipes: str
) -> None:
    def search() -> int:
        query = models.Document(text="cookies", model=SPLADE)
        return len(client.query_points(recipes, query=query, using="splade").points)

    page = await watched.open()
    switch = page.get_by_role("switch", name=SPLADE)
    await switch.click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(switch).to_be_checked()
    await switch.click()
    await page.get_by_role("button", name="Switch off").click()
    await expect(switch).not_to_be_checked()
    await page.wait_for_timeout(2000)  # it takes effect within two seconds
    try:
        with pytest.raises(UnexpectedResponse, match=f"switched off for the model .*{SPLADE}"):
            search()
    finally:
        await switch.click()
        await expect(switch).to_be_checked()
        await page.wait_for_timeout(2000)
    assert search() == 1


async def test_a_collection_is_switched_off_alone(watched: Watched, client: QdrantClient, recipes: str) -> None:
    page = await watched.open()
    switch = page.get_by_role("switch", name=f"Inference for the collection {recipes}")
    await switch.click()
    await page.get_by_role("button", name="Switch off").click()
    await expect(switch).not_to_be_checked()
    await page.wait_for_timeout(2000)
    try:
        with pytest.raises(UnexpectedResponse, match="switched off"):
            client.query_points(recipes, query=models.Document(text="cookies", model=MINILM), using="dense")
    finally:
        await switch.click()
        await expect(switch).to_be_checked()


async def test_the_playground_shows_tokens_vectors_words_and_similarities(watched: Watched) -> None:
    page = await watched.open("playground")
    await page.get_by_label("Text 3").fill("unbelievably " * 300)
    await page.get_by_role("button", name="Embed", exact=True).click()
    dense = page.get_by_role("article", name=MINILM)
    await expect(dense.locator("mark").first).to_have_text("How")
    await expect(dense.get_by_role("img", name="Dense vector of 384 numbers")).to_have_count(3)
    await expect(dense.locator(".cut-note")).to_contain_text("the model did not read the last")
    assert await dense.locator("s").inner_text() != ""
    for sparse in ("qdrant/bm25", SPLADE):
        await expect(page.get_by_role("article", name=sparse).locator(".words li").first).to_be_visible()
    colbert = page.get_by_role("article", name="random/colbert")
    await expect(colbert.get_by_role("img", name=re.compile(r"\d+ vectors of 12 numbers")).first).to_be_visible()
    matrix = page.get_by_role("table", name=f"Similarity to {MINILM}")
    alike = [float(cell) for cell in await matrix.get_by_role("cell").all_inner_texts() if cell]
    assert alike[0] == alike[4] == 1.0
    assert alike[1] > 0.5 > alike[2]


async def test_the_playground_compares_texts_with_images(watched: Watched) -> None:
    page = await watched.open("playground?model=starter%2Fclip-shapes-text")
    await page.locator(".chips button", has_text="clip-shapes-vision").click()
    for _ in range(2):
        await page.get_by_role("button", name="Remove input 1").click()
    await page.get_by_label("Text 1").fill("a red circle on a white background")
    files = [{"name": f"{colour}.png", "mimeType": "image/png", "buffer": png(colour)} for colour in ("red", "blue")]
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Embed", exact=True).click()
    matrix = page.get_by_role("table", name="clip-shapes-text and starter/clip-shapes-vision")
    await matrix.wait_for()
    alike = [float(cell) for cell in await matrix.get_by_role("cell").all_inner_texts() if cell]
    assert len(alike) == 9
    assert alike[1] > alike[2], "the red circle is nearer to its text than the blue one"


async def test_a_search_shows_what_it_found_and_the_request_that_did_it(watched: Watched, recipes: str) -> None:
    page = await watched.open("playground?tab=search")
    await page.get_by_label("Collection").select_option(recipes)
    for vector, model in (("dense", MINILM), ("splade", SPLADE)):
        await page.get_by_label("Vector").select_option(vector)
        await expect(page.get_by_label("Model")).to_have_value(model)
        await page.get_by_label("Query", exact=True).fill("bake cookies")
        async with page.expect_request("**/points/query") as sent:
            await page.get_by_role("button", name="Search", exact=True).click()
        await expect(page.locator(".found li").first).to_contain_text("chocolate chip cookies")
        shown = await page.get_by_role("group", name="The request").inner_text()
        assert json.loads(shown.partition("\n")[2]) == (await sent.value).post_data_json


async def test_a_search_in_all_vectors_at_once_with_a_filter(watched: Watched, recipes: str) -> None:
    page = await watched.open("playground?tab=search")
    await page.get_by_label("Collection").select_option(recipes)
    await expect(page.get_by_label("Vector").locator("option:checked")).to_have_text("All (RRF)")
    await page.get_by_role("button", name="A history of Rome").click()
    found = page.locator(".found li")
    await expect(found.first).to_contain_text("A history of Rome")
    await page.get_by_role("button", name="Add filter").click()
    await page.get_by_label("Condition 1").select_option("is not")
    await page.get_by_label("Value 1").fill("A history of Rome")
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(found).to_have_count(2)
    await expect(page.locator(".found")).not_to_contain_text("A history of Rome")


async def test_a_search_that_is_refused_shows_the_service_s_words(watched: Watched, recipes: str) -> None:
    page = await watched.open()
    switch = page.get_by_role("switch", name=MINILM)
    await switch.click()
    await page.get_by_role("button", name="Switch off").click()
    await page.wait_for_timeout(2000)
    try:
        await watched.open("playground?tab=search")
        await page.get_by_label("Collection").select_option(recipes)
        await page.get_by_label("Query", exact=True).fill("bake cookies")
        await page.get_by_role("button", name="Search", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text(f"inference is switched off for the model '{MINILM}'")
    finally:
        await watched.open()
        await switch.click()
        await expect(switch).to_be_checked()
        await page.wait_for_timeout(2000)
    watched.problems.clear()  # the browser writes an answer of 400 down as an error


async def test_the_copy_button_copies_the_example(watched: Watched) -> None:
    page = await watched.open("examples?model=qdrant%2Fbm25")
    await page.get_by_label("Collection").fill("books")
    await page.get_by_role("button", name="Copy: Program").click()
    await expect(page.get_by_role("status")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.get_by_role("group", name="Program").inner_text()
    for fact in ("qdrant/bm25", '"books"', "IDF", watched.home.removesuffix("/inference/")):
        assert fact in copied


async def test_dark_colours_follow_the_system_and_a_choice_is_kept(chromium: Browser, service: RunningService) -> None:
    async with console(chromium, service.rest_address, color_scheme="dark") as watched:
        page = await watched.open()
        assert await _is_dark(page)
        await page.get_by_role("button", name="Light colours").click()
        assert not await _is_dark(page)
        await page.reload()
        assert not await _is_dark(page)


async def _is_dark(page: Page) -> bool:
    red = await page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/)[0]")
    return float(red) < 128


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_enough_contrast_and_every_control_a_name(
    chromium: Browser, service: RunningService, recipes: str, scheme: str
) -> None:
    off = {"inference": False, "models": {MINILM: False}, "collections": {recipes: False}}
    async with console(chromium, service.rest_address, color_scheme=scheme) as watched:
        await watched.page.route("**/inference/settings", lambda route: route.fulfill(json={"result": off}))
        for view in VIEWS:
            page = await watched.open(view)
            if view == "playground":
                await page.get_by_role("button", name="Embed", exact=True).click()
                await page.locator("mark").first.wait_for()
            await page.wait_for_timeout(500)
            await expect(page.locator(".is-off")).to_have_count(2 if view == "models" else 0)
            assert await page.evaluate(TOO_PALE) == [], view
            assert await page.evaluate(NAMELESS) == [], view
        await watched.open()
        await page.get_by_role("switch", name=SPLADE).click()
        await expect(page.get_by_role("dialog", name="Switch off")).to_be_visible()
        assert await page.evaluate(TOO_PALE) == []


async def test_nothing_is_wider_than_a_narrow_screen(chromium: Browser, service: RunningService, recipes: str) -> None:
    async with console(chromium, service.rest_address, viewport={"width": 360, "height": 740}) as watched:
        for view in VIEWS:
            page = await watched.open(view)
            await page.wait_for_timeout(500)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360, view


async def test_the_keyboard_alone_reaches_everything(watched: Watched) -> None:
    page = await watched.open()
    switch = page.get_by_role("switch", name=SPLADE)
    await switch.wait_for()
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await _tab_to(page, SPLADE)
    await page.keyboard.press("Space")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(switch).to_be_focused()
    await expect(switch).to_be_checked()


async def _tab_to(page: Page, switch: str) -> None:
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.role + document.activeElement.ariaLabel") == f"switch{switch}":
            return
    raise AssertionError("the keyboard does not get there")


async def test_everything_together_weighs_less_than_200_kilobytes(watched: Watched) -> None:
    for view in VIEWS:
        page = await watched.open(view)
    for what in ("search", "hybrid"):
        for language in ("http", "curl", "typescript", "rust", "java", "csharp", "go", "openai"):
            await watched.open(f"examples?what={what}&language={language}")
            await page.locator(".code").first.wait_for()
    await page.goto(f"{watched.home}docs")
    await page.locator(".operation").first.wait_for()
    assert len(watched.sizes) > 30
    assert sum(watched.sizes.values()) < BYTES
