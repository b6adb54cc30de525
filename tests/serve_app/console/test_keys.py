"""The page asks for keys: which it takes, which it refuses, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.async_api import Browser, expect

from tests.support.browser import ADMIN, KEYS, MASTER, NAMELESS, READER, TOO_PALE, console, listening
from tests.support.management import World
from tests.support.tokens import token

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_wrong_key_is_refused_and_a_right_one_asked_for_once(
    world: Callable[..., World], chromium: Browser
) -> None:
    async with listening(world(**KEYS)) as address, console(chromium, address) as watched:
        page = await watched.open()
        dialog = page.get_by_role("dialog", name="API key")
        await expect(dialog.get_by_label("Key", exact=True)).to_be_focused()
        await page.keyboard.press("Escape")
        await dialog.get_by_label("Key", exact=True).fill("wrong")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_have_text("Invalid API key or JWT")
        assert await page.evaluate(TOO_PALE) == await page.evaluate(NAMELESS) == []
        await dialog.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        assert await page.evaluate("[JSON.stringify(localStorage), document.cookie]") == ["{}", ""]
        await page.get_by_role("button", name="Forget key").click()
        await expect(dialog).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_qdrant_s_own_refusal_is_told_and_not_asked_for_again_and_again(
    world: Callable[..., World], chromium: Browser
) -> None:
    asked: list[str] = []
    async with listening(world(**KEYS)) as address, console(chromium, address) as watched:
        page = watched.page
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        refused = {"status": {"error": "Qdrant knows no such key"}}
        await page.route("**/collections", lambda route: route.fulfill(status=401, json=refused))
        await watched.open()
        await page.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Qdrant knows no such key")
        await page.wait_for_timeout(2500)
        assert asked.count("collections") == 1
        assert asked.count("access") == 3  # without a key, with it, and after the refusal
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (token({"exp": 1}, MASTER.encode()), "ExpiredSignature"),
        (token({}, b"another key"), "InvalidSignature"),
    ],
    ids=["expired", "of another key"],
)
async def test_a_token_that_is_not_taken_is_refused_in_the_dialog_and_forgotten(
    world: Callable[..., World], chromium: Browser, shown: bytes, said: str
) -> None:
    async with (
        listening(world(**KEYS, qdrant_jwt_rbac=True)) as address,
        console(chromium, address) as watched,
    ):
        page = await watched.open()
        dialog = page.get_by_role("dialog", name="API key")
        await dialog.get_by_label("Key", exact=True).fill(shown.decode())
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_have_text(said)
        assert await page.evaluate("sessionStorage.length") == 0
        await dialog.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await page.evaluate("key => sessionStorage.setItem('api-key', key)", shown.decode())  # it ends meanwhile
        await expect(dialog.get_by_role("alert")).to_have_text(said)


async def test_a_service_that_does_not_answer_is_told_in_the_dialog(
    world: Callable[..., World], chromium: Browser
) -> None:
    async with listening(world(**KEYS)) as address, console(chromium, address) as watched:
        page = await watched.open()
        dialog = page.get_by_role("dialog", name="API key")
        await page.route("**/inference/access", lambda route: route.abort())
        await dialog.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_have_text("The service does not answer.")
        await page.unroute("**/inference/access")
        await dialog.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("keys", [{"qdrant_inference_admin_key": ADMIN}, KEYS])
async def test_the_admin_key_can_be_entered_afterwards(
    world: Callable[..., World], chromium: Browser, keys: dict[str, str]
) -> None:
    async with listening(world(**keys)) as address, console(chromium, address) as watched:
        page = await watched.open()
        if keys is KEYS:
            await page.get_by_label("Key", exact=True).fill(READER)
            await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Enter admin key").click()
        dialog = page.get_by_role("dialog", name="Admin key")
        await expect(dialog.get_by_label("Key", exact=True)).to_have_value("")
        await dialog.get_by_label("Key", exact=True).fill("wrong")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Enter admin key").click()
        await dialog.get_by_label("Key", exact=True).fill(ADMIN)
        await page.keyboard.press("Enter")
        await page.get_by_role("switch", name="d/Dense").click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(page.get_by_role("switch", name="d/Dense")).not_to_be_checked()
        await page.get_by_role("button", name="Forget key").click()
        there = page.get_by_role("dialog", name="API key") if keys is KEYS else page.get_by_text("Enter admin key")
        await expect(there).to_be_visible()


async def test_a_token_for_one_collection_sees_models_and_no_alarm(
    world: Callable[..., World], chromium: Browser
) -> None:
    claims = {"access": [{"collection": "recipes", "access": "r"}]}
    async with (
        listening(world(**KEYS, qdrant_jwt_rbac=True)) as address,
        console(chromium, address) as watched,
    ):
        page = await watched.open()
        await page.get_by_label("Key", exact=True).fill(token(claims, MASTER.encode()).decode())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="d/Dense", exact=True)).to_be_visible()
        await watched.open("usage")
        await expect(page.get_by_text("sees no usage")).to_be_visible()
        await page.wait_for_timeout(1000)
        await expect(page.get_by_role("alert")).to_have_count(0)
