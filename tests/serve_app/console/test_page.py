"""The page's files, and the page with what a real service seldom shows: keys, tenants, failures."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, expect

from serve_app.cluster.model_states import ModelState
from serve_app.console import page as served
from tests.serve_app.auth.test_jwt import token
from tests.support.browser import NAMELESS, TOO_PALE, Watched, browser, console
from tests.support.management import World

FILES = [path for path in sorted(served.FOLDER.rglob("*")) if path.is_file()]
OURS = [path for path in FILES if "vendor" not in path.parts]
VENDORED = (served.FOLDER / "vendor" / "VENDORED.md").read_text()
MASTER, READER, ADMIN = "the-key", "read-only-key", "admin-key"
KEYS = {"qdrant_api_key": MASTER, "qdrant_read_only_api_key": READER, "qdrant_inference_admin_key": ADMIN}


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in {".mjs", ".css", ".js"} and path not in OURS]
)
def test_a_vendored_file_is_the_published_one(path: Any) -> None:
    row = next(line for line in VENDORED.splitlines() if line.startswith(f"| `{path.name}`"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() in row


def test_each_vendored_package_has_its_version_and_its_licence() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in VENDORED.splitlines() if line.startswith("| `")
    ]
    for _, package, version, licence, *_ in rows:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        text = (served.FOLDER / "vendor" / f"LICENSE.{package.split('/')[-1]}.txt").read_text()
        assert licence.split("-")[0] in text


@pytest.mark.parametrize(
    "path", [path for path in OURS if path.suffix in {".html", ".js", ".css"}], ids=lambda p: p.name
)
def test_nothing_is_fetched_from_elsewhere_and_nothing_stands_inline(path: Any) -> None:
    text = path.read_text()
    assert not re.search(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(]?(?:https?:)?//""", text)
    assert not re.search(r"<script>|<style|\bstyle=\"|\son\w+=\"|\beval\(|innerHTML", text)


def test_every_module_is_fetched_at_once() -> None:
    page = (served.FOLDER / "index.html").read_text()
    for path in FILES:
        if path.suffix in {".js", ".mjs"}:
            assert f'"{path.relative_to(served.FOLDER).as_posix()}"' in page


async def test_every_file_of_the_page_is_served(world: Callable[..., World]) -> None:
    there = world()
    for path in FILES:
        if path.suffix != ".md":
            answer = await there.ask("GET", f"/inference/{path.relative_to(served.FOLDER).as_posix()}")
            assert (answer.status, answer.content) == (200, path.read_bytes()), path


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[str]:
    """The world on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(world.http, port=port, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with browser() as running:
        yield running


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


@pytest.mark.parametrize(
    ("keys", "shown", "why_not"),
    [
        (KEYS, ADMIN, None),
        (KEYS, MASTER, "The admin key is needed to turn a switch."),
        ({"qdrant_api_key": MASTER}, MASTER, "No admin key is set: QDRANT_INFERENCE_ADMIN_KEY."),
    ],
)
async def test_switches_say_who_may_turn_them(
    world: Callable[..., World], chromium: Browser, keys: dict[str, str], shown: str, why_not: str | None
) -> None:
    async with listening(world(**keys)) as address, console(chromium, address) as watched:
        page = await watched.open()
        await page.get_by_label("Key", exact=True).fill(shown)
        await page.keyboard.press("Enter")
        switch = page.get_by_role("switch", name="d/Dense")
        await expect(switch).to_have_attribute("aria-disabled", "true" if why_not else "false")
        await expect(switch).to_have_accessible_description(why_not or "")
        await switch.focus()
        await page.keyboard.press("Space")
        await expect(page.get_by_role("dialog", name="Switch off")).to_have_count(0 if why_not else 1)


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


async def test_a_model_that_failed_says_why(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.states["d/Dense"] = ModelState("failed", "model.safetensors: the sha256 differs", 0, 0)
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        await expect(row).to_contain_text("failed")
        await expect(row).to_contain_text("the sha256 differs")


async def test_a_service_that_goes_away_is_told_and_forgotten_when_it_is_back(
    world: Callable[..., World], chromium: Browser
) -> None:
    async with listening(world()) as address, console(chromium, address) as watched:
        page = await watched.open()
        await page.route("**/inference/live", lambda route: route.abort())
        await expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
        await page.unroute("**/inference/live")
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_ledger_without_its_database_is_told(world: Callable[..., World], chromium: Browser) -> None:
    behind = {"behind": True, "behind_s": 12.0, "waiting_tokens": 3400, "database": "postgresql", "split": False}

    async def late(route: Any) -> None:
        answer = await (await route.fetch()).json()
        answer["result"]["ledger"] = behind
        await route.fulfill(json=answer)

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/live", late)
        page = await watched.open()
        await expect(page.get_by_text("So far 12 s and 3.4K tokens.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_text(re.compile(r"^The ledger's database is away\.\D*$"))


async def test_a_ledger_for_each_node_is_told(world: Callable[..., World], chromium: Browser) -> None:
    there = world()
    there.ledger._count_nodes = lambda: 2
    await there.ledger.look_around()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        await expect(page.get_by_role("alert")).to_contain_text("each counts for itself")


async def test_a_refused_change_is_told_until_it_is_closed(world: Callable[..., World], chromium: Browser) -> None:
    async def away(route: Any) -> None:
        if route.request.method == "PUT":
            await route.fulfill(status=503, json={"status": {"error": "the database is away"}})
        else:
            await route.continue_()

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/settings", away)
        page = await watched.open()
        await page.get_by_role("switch", name="d/Dense").click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(page.get_by_role("alert")).to_contain_text("the database is away")
        await page.wait_for_timeout(2500)
        await page.get_by_role("alert").get_by_role("button", name="Close").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_role("switch", name="d/Dense")).to_be_checked()


async def test_what_goes_beyond_the_allowance_is_shown_with_its_cost(
    world: Callable[..., World], chromium: Browser
) -> None:
    there = world()
    for _ in range(10):
        await there.query(text="x" * 7_993)  # with its prefix 8,000 tokens, of which 100 are free in all
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open()
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name="d/Dense", exact=True))
        await expect(row).to_contain_text("$2.00")  # for a million
        await expect(row).to_contain_text("80,000% of 100 · $0.160")
        await expect(row.get_by_role("img", name="80,000 of 100 free tokens used")).to_have_class("meter over")
        await expect(page.get_by_role("region", name="Summary")).to_contain_text("$0.160 cost")
        await watched.open("usage")
        await page.get_by_role("button", name="Cost").click()
        await expect(page.locator(".headline")).to_contain_text("$0.160")
        allowance = page.locator(".allowances").get_by_role("row", name="d/Dense")
        await expect(allowance).to_contain_text("80K of 100")
        await expect(allowance.get_by_role("cell").last).to_have_text("$0.160")


async def test_many_tenants_share_the_last_bar(world: Callable[..., World], chromium: Browser, tmp_path: Path) -> None:
    names = [f"tenant-{number:02}" for number in range(20)]
    keys = [f"{{name: {name}, keys: ['{hashlib.sha256(name.encode()).hexdigest()}']}}" for name in names]
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text("tenants:\n" + "".join(f"- {key}\n" for key in keys))
    there = world(**KEYS, qdrant_inference_tenants=tenants)
    for name in names:
        await there.query(api_key=name)
    await there.ledger.tick()
    async with listening(there) as address, console(chromium, address) as watched:
        page = await watched.open("usage")
        await page.get_by_label("Key", exact=True).fill(MASTER)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Tenants").click()
        await expect(page.locator(".u-legend")).to_contain_text("9 others")
        await expect(page.locator(".sums tbody tr")).to_have_count(20)


async def test_a_switch_stays_where_it_was_put_while_other_replicas_learn_of_it(
    world: Callable[..., World], chromium: Browser
) -> None:
    on = {"result": {"inference": True, "models": {}, "collections": {}}}

    async def late(route: Any) -> None:
        await (route.continue_() if route.request.method == "PUT" else route.fulfill(json=on))

    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.route("**/inference/settings", late)
        page = await watched.open()
        switch = page.get_by_role("switch", name="d/Dense")
        await switch.click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(switch).not_to_be_checked()
        await page.evaluate("""() => {
          const one = document.querySelector('[role=switch][aria-label="d/Dense"]');
          const watcher = new MutationObserver(() => (window.turned ??= performance.now()));
          watcher.observe(one, { attributeFilter: ["aria-checked"] });
          window.began = performance.now();
        }""")
        await expect(switch).to_be_checked(timeout=10_000)  # what a replica says that should know by then
        assert await page.evaluate("turned - began") > 1500


async def test_the_days_shown_go_on_at_midnight(world: Callable[..., World], chromium: Browser) -> None:
    async with listening(world()) as address, console(chromium, address) as watched:
        await watched.page.clock.set_fixed_time("2026-03-31T23:59:59Z")
        async with watched.page.expect_request("**/inference/usage?from=2026-03-02&*"):
            page = await watched.open()
        await page.clock.set_fixed_time("2026-04-01T00:00:01Z")
        async with page.expect_request("**/inference/usage?from=2026-03-03&*"):
            await page.clock.set_fixed_time("2026-04-01T00:00:02Z")


PLAIN: dict[str, Any] = {"vectors": {"size": 4, "distance": "Cosine"}}
NAMED: dict[str, Any] = {
    "vectors": {name: {"size": size, "distance": "Cosine"} for name, size in (("a", 4), ("Dense", 4), ("b", 5))},
    "sparse_vectors": {"words": {}},
}


@pytest.fixture
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
        yield watched
        assert watched.problems == []


async def test_a_name_that_no_example_can_hold_is_told(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    field = page.get_by_label("Collection")
    offered = page.locator("datalist option")
    await expect(offered).to_have_count(2)
    await expect(offered.first).to_have_attribute("value", "books")
    await field.fill("more & more")
    await expect(page.get_by_role("alert")).to_contain_text("below stands my-Dense instead")
    await expect(field).to_have_accessible_description(re.compile("below stands my-Dense instead"))
    await field.fill("books")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.get_by_role("group", name="Program")).to_contain_text('"books"')


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
        await expect(page.get_by_text(f"{name} is there already.")).to_be_visible()
        await expect(program).not_to_contain_text("create_collection")
        await expect(program).to_contain_text(f'"{name}"')
        text = await program.inner_text()
        assert (f'{{"{vector}": models.Document(' in text, f'using="{vector}"' in text) == (vector is not None,) * 2
    await page.get_by_label("Collection").fill("books")
    await expect(page.get_by_role("alert")).to_contain_text("books has no vector that b/bm25 fits")
    await page.get_by_label("Collection").fill("new")
    await expect(program).to_contain_text("create_collection")


async def test_examples_name_the_port_of_grpc(with_collections: Watched) -> None:
    page = await with_collections.open("examples")
    await page.get_by_role("button", name="Go", exact=True).click()
    await expect(page.get_by_role("group", name="Program")).to_contain_text("Port: 7777,")


async def test_an_image_that_is_taken_back_is_not_searched_with(with_collections: Watched) -> None:
    page = await with_collections.open("playground?tab=search")
    await page.get_by_label("Model").select_option("c/clip-vision")
    image = page.get_by_label("Image")
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
    await expect(page.get_by_role("alert")).to_contain_text("notes.txt is no image.")
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
    await expect(page.get_by_role("alert")).to_have_count(0, timeout=10_000)
    with_collections.problems.clear()  # the browser writes an aborted request down as an error


async def test_an_image_that_cannot_be_read_is_told(with_collections: Watched) -> None:
    page = await with_collections.open("playground")
    await page.evaluate("() => { FileReader.prototype.readAsDataURL = function () { this.onerror(); }; }")
    files = {"name": "red.png", "mimeType": "image/png", "buffer": b"red"}
    await page.get_by_label("Add image").set_input_files(files)  # type: ignore[arg-type]
    await expect(page.get_by_role("alert")).to_contain_text("red.png cannot be read.")
