"""The view of examples."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import Watched

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_example_holds_any_name(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    field = page.get_by_label("Collection")
    offered = page.locator("datalist option")
    await expect(offered).to_have_count(3)
    await expect(offered.first).to_have_attribute("value", "books")
    await field.fill("more & more")
    await expect(page.get_by_text("more & more exists.")).to_be_visible()
    await field.fill('it\'s "new"')
    await expect(page.get_by_role("group", name="Program")).to_contain_text('"it\'s \\"new\\""')
    await page.get_by_role("button", name="curl", exact=True).click()
    address = page.get_by_role("group", name="Create a collection")
    await expect(address).to_contain_text("/collections/it'\\''s%20%22new%22' ")
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_collection_that_is_there_is_used_as_it_is(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    program = page.get_by_role("group", name="Program")
    for name, model, vector in (
        ("books", "d/Dense", None),
        ("named", "d/Dense", "Dense"),
        ("named", "b/bm25", "words"),
    ):
        await page.get_by_label("Model").select_option(model)
        await page.get_by_label("Collection").fill(name)
        await expect(page.get_by_text(f"{name} exists.")).to_be_visible()
        await expect(program).not_to_contain_text("create_collection")
        await expect(program).to_contain_text(f'"{name}"')
        text = await program.inner_text()
        assert (f'{{"{vector}": models.Document(' in text, f'using="{vector}"' in text) == (vector is not None,) * 2
    await page.get_by_label("Collection").fill("books")
    await expect(page.get_by_role("alert")).to_contain_text("books has no vector that fits b/bm25")
    await page.get_by_label("Collection").fill("new")
    await expect(program).to_contain_text("create_collection")


async def test_examples_name_the_port_of_grpc(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    await page.get_by_role("button", name="Go", exact=True).click()
    await expect(page.get_by_role("group", name="Program")).to_contain_text("Port: 7777,")
    await page.get_by_label("gRPC port").fill("6400")
    await expect(page.get_by_role("group", name="Program")).to_contain_text("Port: 6400,")
    await page.get_by_role("button", name="Python", exact=True).click()
    await expect(page.get_by_label("gRPC port")).to_have_count(0)


async def test_what_was_chosen_stands_in_the_address(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    await page.get_by_role("button", name="Hybrid").click()
    await page.get_by_role("button", name="Go", exact=True).click()
    await page.get_by_label("Collection").fill("my & own")
    await page.goto("about:blank")
    await page.go_back()
    await expect(page.get_by_role("button", name="Hybrid")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("button", name="Go", exact=True)).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("group", name="Program")).to_contain_text('"my & own"')


async def test_a_hybrid_example_uses_the_vectors_that_are_there(with_collections: Watched) -> None:
    page = await with_collections.open("examples?what=hybrid&collection=named")
    program = page.get_by_role("group", name="Program")
    await expect(program).to_contain_text('models.Document(text=question, model="d/Dense"), using="Dense"')
    await expect(program).to_contain_text('using="words"')
    await page.get_by_label("Collection").fill("books")
    await expect(page.get_by_role("alert")).to_contain_text("books has no vector that fits these models")


async def test_images_and_the_api_of_openai_have_examples(with_collections: Watched) -> None:
    page = await with_collections.open("examples?what=images&language=java")
    program = page.get_by_role("group", name="Program")
    await expect(program).to_contain_text('setModel("c/clip-vision")')
    await page.get_by_role("button", name="OpenAI").click()
    await expect(program).to_contain_text("/v1")
    await expect(page.get_by_label("Model").locator("option")).to_have_text(["d/Dense", "c/clip-text"])
    for language, keyword in (("Python", "import"), ("Rust", "async"), ("C#", "await")):
        await page.get_by_role("button", name=language, exact=True).click()
        await expect(page.locator("pre .keyword", has_text=keyword).first).to_be_visible()
    await expect(page.get_by_text("No test compiles the C# examples")).to_be_visible()
