"""Examples for models of external providers: the caller's key is an option, and no page asks for it."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from serve_app.console.page import FOLDER
from tests.support.browser import console, listening
from tests.support.examples import LANGUAGES, fill
from tests.support.management import World
from tests.support.provider_sites import LocalProviders, ProviderSite, entry, routes

TOLD = {
    "http": '"openai-api-key": "YOUR_OPENAI_API_KEY"',
    "curl": '"openai-api-key": "YOUR_OPENAI_API_KEY"',
    "python": 'model="openai/text-embedding-3-small", options={"openai-api-key": os.environ["OPENAI_API_KEY"]})',
    "typescript": 'text-embedding-3-small", options: { "openai-api-key": process.env["OPENAI_API_KEY"] }',
    "rust": 'HashMap::from([("openai-api-key".to_string(), std::env::var("OPENAI_API_KEY")?.into())])',
    "java": '.putOptions("openai-api-key", value(System.getenv("OPENAI_API_KEY")))',
    "csharp": 'Options = { ["openai-api-key"] = Environment.GetEnvironmentVariable("OPENAI_API_KEY")! }',
    "go": 'Options: qdrant.NewValueMap(map[string]any{"openai-api-key": os.Getenv("OPENAI_API_KEY")})',
}
HOW = {"collection": "books", "grpcPort": 6334, "needsKey": False}


@pytest.fixture
def here(world: Callable[..., World], site: ProviderSite, outside: LocalProviders) -> World:
    return world(outside=outside, external=[*routes(site), entry(site, "tei", "own/tei")])


@pytest.mark.asyncio(loop_scope="package")
async def test_each_language_shows_the_keys_option(here: World) -> None:
    models = (await here.ask("GET", "/inference/models")).result["models"]
    asked = [{"name": name, "language": one, **HOW} for one in LANGUAGES for name in ("openai/*", "own/tei")]
    examples = iter(fill("http://localhost:6333/", models, asked))
    for language in LANGUAGES:
        code, without = "\n".join(next(examples)), "\n".join(next(examples))
        assert code.count(TOLD[language]) >= 1, code
        assert ("openai/*" in code, "{{" in code, "1536" in code) == (False, False, True), code
        assert ("api-key" in without, "{{" in without, "own/tei" in without) == (False, False, True), without
        if language == "python":
            ast.parse(next(part for part in code.split("pip install qdrant-client\n") if "import" in part))


def test_no_script_of_the_page_keeps_a_providers_key() -> None:
    """The page keeps one thing beside the theme: the key of this service."""
    kept = [path.name for path in FOLDER.rglob("*.js") if "Storage." in path.read_text(encoding="utf-8")]
    assert set(kept) <= {"api.js", "state.js", "theme.js"}


@pytest.mark.asyncio(loop_scope="package")
async def test_the_list_shows_where_they_are_and_what_key_they_take(here: World, chromium: Browser) -> None:
    async with listening(here) as address, console(chromium, address) as watched:
        none = {"result": {"collections": []}}
        await watched.page.route("**/collections", lambda route: route.fulfill(json=none))
        page = await watched.open("models")
        row = page.get_by_role("row").filter(has_text="openai/*")
        await expect(row).to_contain_text("external, 127.0.0.1")
        await row.get_by_role("button").first.click()
        await expect(page.get_by_text("option or header openai-api-key")).to_be_visible()
        page = await watched.open("examples?model=openai%2F*")
        await expect(page.get_by_role("group", name="Program")).to_contain_text("openai/text-embedding-3-small")
        await expect(page.get_by_text("this page never asks for it")).to_be_visible()
        page = await watched.open("playground")
        await expect(page.get_by_role("button", name="own/tei")).to_have_attribute("aria-pressed", "false")
        await expect(page.get_by_role("button", name="openai/*")).to_have_count(0)
        assert watched.problems == []
