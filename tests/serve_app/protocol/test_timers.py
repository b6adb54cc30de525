from __future__ import annotations

import asyncio
import time

from serve_app.protocol.timers import Timers


async def test_what_is_due_is_called_soon_after_and_never_before() -> None:
    timers, began, called = Timers(), time.monotonic(), dict[str, float]()
    for name, wait_s in (("later", 0.05), ("at once", 0.0), ("long ago", -1.0)):
        timers.at(began + wait_s, lambda name=name: called.setdefault(name, time.monotonic() - began))  # type: ignore[misc]
    cancelled = timers.at(began, lambda: called.setdefault("cancelled", 0.0))
    cancelled.cancel()
    cancelled.cancel()
    await asyncio.sleep(0.15)
    assert called.keys() == {"later", "at once", "long ago"}
    assert called["later"] >= 0.05


async def test_a_timer_may_set_and_cancel_others_and_none_keeps_the_loop_awake() -> None:
    timers, called = Timers(), list[str]()
    now = time.monotonic()
    second = timers.at(now + 60, lambda: called.append("second"))
    done = asyncio.Event()

    def first() -> None:
        second.cancel()
        timers.at(now, done.set)

    timers.at(now, first)
    await asyncio.wait_for(done.wait(), 10)
    assert not called
    assert not timers._timers
    await asyncio.sleep(0.05)
    assert timers._turning is None
