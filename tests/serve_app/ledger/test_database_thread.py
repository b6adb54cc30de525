from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deployments.errors import LedgerUnavailable
from serve_app.ledger import database_thread
from serve_app.ledger.database_thread import DatabaseThread

NOTHING = "sqlite://"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_thread, "PATIENCE_S", 0.2)


async def test_after_a_call_that_hangs_the_next_has_a_thread_and_a_database_of_its_own(impatient: None) -> None:
    thread, go_on = DatabaseThread(NOTHING), threading.Event()
    before = await thread.do(lambda database: database)
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        await thread.do(lambda _: go_on.wait())
    assert await thread.do(lambda database: database) is not before
    go_on.set()
    thread.close()


async def test_a_call_that_nobody_waits_for_any_more_is_not_begun(impatient: None) -> None:
    thread, go_on = DatabaseThread(NOTHING), threading.Event()
    begun: list[Any] = []
    calls = [thread.do(lambda _: go_on.wait()), thread.do(begun.append)]
    assert [type(outcome) for outcome in await asyncio.gather(*calls, return_exceptions=True)] == [
        LedgerUnavailable
    ] * 2
    go_on.set()
    await thread.do(lambda _: None)
    thread.close()
    for each in thread._threads:
        each.join(5)
    assert begun == []


async def test_a_cancellation_that_comes_together_with_the_answer_is_not_lost() -> None:
    thread, go_on = DatabaseThread(NOTHING), threading.Event()
    asking = asyncio.create_task(thread.do(lambda _: go_on.wait()))
    await asyncio.sleep(0.05)
    go_on.set()
    time.sleep(0.2)  # noqa: ASYNC251  the answer comes while the loop is busy
    asyncio.get_running_loop().call_soon(asking.cancel)
    with pytest.raises(asyncio.CancelledError):
        await asking
    thread.close()


async def test_only_so_many_threads_may_hang_and_their_end_makes_room(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_thread, "_MOST_THREADS", 2)
    thread, go_on = DatabaseThread(NOTHING), threading.Event()
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            await thread.do(lambda _: go_on.wait())
    assert len(thread._threads) == 2
    go_on.set()
    for each in thread._threads:
        each.join(5)
    assert await thread.do(lambda _: 1) == 1
    thread.close()


_HANGING = """
import asyncio, time
from serve_app.ledger import database_thread
from deployments.errors import LedgerUnavailable
database_thread.PATIENCE_S = 0.2
try:
    asyncio.run(database_thread.DatabaseThread("sqlite://").do(lambda _: time.sleep(3600)))
except LedgerUnavailable:
    print("ends")
"""


def test_the_process_ends_while_a_call_hangs() -> None:
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", _HANGING], cwd=root, capture_output=True, timeout=60, check=True)
    assert said.stdout == b"ends\n"
