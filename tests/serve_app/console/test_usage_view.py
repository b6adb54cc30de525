"""The view of usage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.support.browser import KEYS, MASTER, console, listening
from tests.support.management import World


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
