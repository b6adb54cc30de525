"""How soon does the console show its first row in a browser that has nothing of it yet, and what does that take?"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from playwright.async_api import Browser

from benchmarks import processes, tables, targets
from tests.support.browser import browser, console
from tests.support.running import RunningService

_TARGET_MS = 1000
_SETTLING_S = 10

NOTE_FIRST_ROW = """new MutationObserver((_, watcher) => {
  if (!document.querySelector(".models tbody tr")) return;
  watcher.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("first row")));  // it is drawn
}).observe(document, { childList: true, subtree: true })"""
FIRST_ROW_MS = """() => new Promise((done) => new PerformanceObserver((list) => done(list.getEntries()[0].startTime))
  .observe({ type: "mark", buffered: true }))"""
ANSWERED = """(until) => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((one) => one.responseEnd <= until)
  .map((one) => ({ asked: one.fetchStart, answered: one.responseEnd, bytes: one.transferSize }))"""


async def _load(running: Browser, address: str) -> dict[str, float]:
    """What one load took until its first row, in a window that has nothing in its cache."""
    async with console(running, address) as watched:
        await watched.page.add_init_script(NOTE_FIRST_ROW)
        inspector = await watched.page.context.new_cdp_session(watched.page)
        await inspector.send("Performance.enable")
        page = await watched.open()
        first_row = await page.evaluate(FIRST_ROW_MS)
        told = {one["name"]: one["value"] for one in (await inspector.send("Performance.getMetrics"))["metrics"]}
        answered = await page.evaluate(ANSWERED, first_row)
    return {
        "first row, ms": first_row,
        "the browser's main thread, ms": 1000 * told["TaskDuration"],
        "of it scripts, ms": 1000 * told["ScriptDuration"],
        "requests": len(answered),
        "of them one after another": series(answered),
        "KB on the wire": sum(one["bytes"] for one in answered) / 1000,
    }


def series(answered: Sequence[Mapping[str, float]]) -> int:
    """How many requests can at most have waited for each other: each was sent after the one before was answered."""
    depth: list[tuple[float, int]] = []
    for one in sorted(answered, key=lambda each: each["asked"]):
        depth.append((one["answered"], 1 + max((d for end, d in depth if end <= one["asked"]), default=0)))
    return max((d for _, d in depth), default=0)


async def _loads(running: RunningService, times: int) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Loads one after the other, a first one left out, and the processor seconds of the service for all of them."""
    async with browser() as chromium:
        await _load(chromium, running.rest_address)
        before = processes.spent(running)
        loads = [await _load(chromium, running.rest_address) for _ in range(times)]
        return loads, processes.spent(running).since(before)


def main() -> None:
    """Start a service, open its console again and again, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="after a first one that is not counted")
    times: int = parser.parse_args().times
    tables.show_machine()
    with processes.service({}) as running:
        time.sleep(_SETTLING_S)
        loads, spent = asyncio.run(_loads(running, times))
    columns: dict[str, Any] = {name: sorted(load[name] for load in loads) for name in loads[0]}
    rows = [(name, values[0], statistics.median(values), values[-1]) for name, values in columns.items()]
    tables.show(f"{times} loads", ("until the first row", "least", "median", "most"), rows)
    used = [(name, 1000 * seconds / times) for name, seconds in spent.items() if name in {"Ingress", "HAProxy"}]
    tables.show("Processor time of a load, all of its answers", ("process", "ms"), used)
    targets.at_most("ms until the console's first row, median", statistics.median(columns["first row, ms"]), _TARGET_MS)


if __name__ == "__main__":
    main()
