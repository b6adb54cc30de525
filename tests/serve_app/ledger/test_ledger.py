"""The ledger of one ingress replica, and of several on one database."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.errors import LedgerUnavailable, QuotaUsedUp, SwitchedOff
from serve_app.ledger import database_thread
from serve_app.ledger import ledger as module
from serve_app.ledger.database import Database
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Caller
from serve_app.ledger.quotas import Quota, Quotas
from serve_app.ledger.switches import SwitchChange
from tests.support.ledgers import make_ledger, use


def stored(url: str) -> int:
    database = Database(url)
    try:
        return sum(row["tokens"] for row in database.usage(0, 10**6, None, ()))
    finally:
        database.close()


async def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_what_is_used_stands_in_the_database_a_second_later(database_url: str) -> None:
    ledger = make_ledger(database_url)
    await ledger.start()
    use(ledger)
    await eventually(lambda: stored(database_url) == 10, within_s=8)
    await ledger.close()


async def test_a_stop_writes_what_is_left(database_url: str) -> None:
    ledger = make_ledger(database_url, period_s=3600)
    await ledger.start()
    for _ in range(100):
        use(ledger)
    await ledger.close()
    assert stored(database_url) == 1000


async def test_a_sync_whose_response_was_lost_is_counted_once(database_url: str, monkeypatch: Any) -> None:
    ledger = make_ledger(database_url, period_s=3600)
    sync = Database.sync
    answers = iter(["lost", "lost"])

    def lose(self: Database, *arguments: Any) -> Any:
        response = sync(self, *arguments)
        if next(answers, None):
            raise LedgerUnavailable("the connection broke after the commit")
        return response

    monkeypatch.setattr(Database, "sync", lose)
    use(ledger, 10)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            await ledger.tick()
        use(ledger, 1)
    assert ledger.waiting_tokens == 11
    await ledger.tick()
    await ledger.tick()
    assert (stored(database_url), ledger.waiting_tokens) == (12, 0)
    await ledger.close()


@pytest.mark.slow
async def test_while_the_database_is_away_usage_waits_in_bounded_memory_and_the_ledger_says_so(
    tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_BEHIND_S", 0.2)
    folder = tmp_path / "later"
    ledger = make_ledger(f"sqlite:///{folder / 'ledger.sqlite3'}", period_s=0.05)
    await ledger.start()
    for number in range(30_000):
        use(ledger, 1, tenant=f"tenant-{number}")
        if number % 1000 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: ledger.behind and ledger.waiting_tokens == 30_000)
    assert len(ledger._unsent) + len(ledger._sent.counts if ledger._sent else ()) < 45_000
    folder.mkdir()
    await eventually(lambda: not ledger.behind and not ledger.waiting_tokens, within_s=20)
    assert stored(ledger._url) == 30_000
    await ledger.close()
    said = [record.message for record in caplog.records]
    assert len([line for line in said if "database is away" in line]) == 1
    assert len([line for line in said if "database is back" in line]) == 1


async def test_postgresql_may_go_away_and_come_back(postgres_server: Any, monkeypatch: Any) -> None:
    ledger = make_ledger(postgres_server.url, period_s=0.05)
    await ledger.tick()
    before = stored(postgres_server.url)
    postgres_server.stop()
    try:
        use(ledger)
        with pytest.raises(LedgerUnavailable):
            await ledger.tick()
        use(ledger)
        with pytest.raises(LedgerUnavailable):
            await ledger.tick()
        assert ledger.waiting_tokens == 20
    finally:
        postgres_server.start()
    await ledger.tick()
    await ledger.tick()
    assert stored(postgres_server.url) - before == 20
    await ledger.close()


@pytest.mark.slow
async def test_postgresql_may_hang_with_its_connections_open(postgres_server: Any, monkeypatch: Any) -> None:
    """What was under way is done when it goes on, and is then known to have been done."""
    monkeypatch.setattr(database_thread, "PATIENCE_S", 1.0)
    ledger = make_ledger(postgres_server.url, period_s=0.1)
    await ledger.start()
    await ledger.usage(0, 10**6, None, ())
    before = stored(postgres_server.url)
    postgres_server.suspend()
    try:
        for _ in range(60):
            use(ledger)
            await asyncio.sleep(0.1)
        for ask in (lambda: ledger.usage(0, 10**6, None, ()), lambda: ledger.switch(SwitchChange())):
            asked_at = time.monotonic()
            with pytest.raises(LedgerUnavailable):
                await ask()
            assert time.monotonic() - asked_at < 3
        assert ledger.behind
        assert ledger.waiting_tokens == 600
    finally:
        postgres_server.resume()
    await eventually(lambda: not ledger.behind and not ledger.waiting_tokens, within_s=20)
    assert stored(postgres_server.url) - before == 600
    assert await ledger.usage(0, 10**6, None, ())
    await ledger.close()
    await eventually(lambda: not any(thread.name == "ledger" for thread in threading.enumerate()))
    assert stored(postgres_server.url) - before == 600


async def test_a_long_question_does_not_hold_up_syncs(database_url: str) -> None:
    ledger, go_on = make_ledger(database_url), threading.Event()
    question = asyncio.create_task(ledger._queries.do(lambda _: go_on.wait()))
    use(ledger)
    await ledger.tick()
    assert stored(database_url) == 10
    go_on.set()
    await question
    await ledger.close()


async def test_a_switch_reaches_every_replica_within_two_seconds_and_survives(database_url: str) -> None:
    first, second = make_ledger(database_url), make_ledger(database_url)
    await first.start()
    await second.start()
    await first.switch(SwitchChange(models={"m": False}))
    with pytest.raises(SwitchedOff, match="switched off for the model 'm'"):
        use(first)
    await eventually(lambda: second.switches.models == {"m"}, within_s=2)
    await first.close()
    await second.close()
    third = make_ledger(database_url, period_s=3600)
    await third.start()
    with pytest.raises(SwitchedOff):
        use(third)
    await third.switch(SwitchChange(models={"m": True}, collections={"c": False}))
    with pytest.raises(SwitchedOff, match="for the collection 'c'"):
        use(third)
    use(third, collection="another")
    await third.switch(SwitchChange(collections={"c": True}, inference=False))
    with pytest.raises(SwitchedOff, match=r"inference is switched off$"):
        use(third, collection="another")
    await third.close()


async def test_replicas_share_quotas_and_live_figures(database_url: str) -> None:
    def replica() -> Ledger:
        quota = Quota(tokens_per_minute=10**6, tokens_per_month=100)
        return make_ledger(database_url, Quotas({"shop": {"*": quota}}))

    first, second = replica(), replica()
    use(first, 60, tenant="shop")
    await first.tick()
    await second.tick()
    left = second.meter.left(Caller("shop"), {"m": 0})
    assert left is not None
    assert left.tokens == 40
    use(second, 40, tenant="shop")
    with pytest.raises(QuotaUsedUp):
        use(second, 1, tenant="shop")
    await second.tick()
    await first.tick()
    with pytest.raises(QuotaUsedUp):
        use(first, 1, tenant="shop")
    assert [sum(live["m"]["tokens"] for live in ledger.live) for ledger in (first, second)] == [10.0, 10.0]
    for ledger in (first, second):
        await ledger.close()


async def test_flushes_keep_to_their_times_however_long_they_take(monkeypatch: Any) -> None:
    ledger, began = make_ledger("sqlite://", period_s=0.1), []

    async def slow(**_: Any) -> None:
        began.append(time.monotonic())
        await asyncio.sleep(0.07 if len(began) != 5 else 0.25)  # one is late for the next two

    monkeypatch.setattr(ledger, "tick", slow)
    await ledger.start()
    await eventually(lambda: len(began) > 8)
    await ledger.close()
    gaps = [after - before for before, after in itertools.pairwise(began[1:9])]
    assert gaps == pytest.approx([0.1, 0.1, 0.1, 0.25, 0.1, 0.1, 0.1], abs=0.06)


@pytest.mark.parametrize(
    ("url", "nodes", "split"),
    [("sqlite:////a", 1, False), ("sqlite:////a", 2, True), ("postgresql://a", 2, False)],
)
async def test_a_sqlite_file_for_each_of_several_nodes_is_warned_of_once(
    url: str, nodes: int, split: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = make_ledger(url, count_nodes=lambda: nodes)
    for _ in range(2):
        await ledger.look_around()
    assert ledger.split is split
    assert caplog.text.count("each counts for itself") == split


async def test_an_idle_replica_writes_nothing(database_url: str, monkeypatch: Any) -> None:
    ledger = make_ledger(database_url)
    await ledger.tick()
    monkeypatch.setattr(Database, "sync", None)
    await ledger.tick()
    await ledger.close()


_WRITER = """
import asyncio, sys, time
sys.path.insert(0, {root!r})
from tests.support.ledgers import make_ledger, use

async def main():
    ledger = make_ledger({url!r})
    await ledger.start()
    counted = 0
    while True:
        use(ledger, 1)
        counted += 1
        print(time.time(), counted, flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""
_LOST_S = 1.0


@pytest.mark.slow
async def test_kill_9_of_two_writers_loses_no_more_than_the_last_second_and_counts_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", _WRITER.format(root=root, url=database_url)]
    outputs = [tmp_path / "a", tmp_path / "b"]
    writers = []
    for output in outputs:
        with output.open("wb") as file:
            writers.append(subprocess.Popen(command, stdout=file, cwd=root))  # noqa: ASYNC220
    try:
        await eventually(lambda: all(_counted(output, time.time() - 2.5) for output in outputs), within_s=30)
    finally:
        killed_at = time.time()
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
    old = sum(_counted(output, killed_at - _LOST_S) for output in outputs)
    everything = sum(_counted(output, math.inf) for output in outputs)
    assert 0 < old <= stored(database_url) <= everything + 2  # each may have been killed before it said its last number
    successor = make_ledger(database_url)
    use(successor)
    before = stored(database_url)
    await successor.tick()
    assert stored(database_url) == before + 10
    await successor.close()


def _counted(output: Path, until: float) -> int:
    """How much a writer had counted at a time."""
    lines = (line.split() for line in output.read_text().rpartition("\n")[0].splitlines())
    return max((int(counted) for at, counted in lines if float(at) <= until), default=0)
