"""Takes what the meter has counted to the database, more than once a second, and brings back what others wrote."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from deployments.errors import LedgerUnavailable
from serve_app.ledger.additions import AdditionBoard, Change
from serve_app.ledger.counts import Counts
from serve_app.ledger.database_thread import DatabaseThread
from serve_app.ledger.history import History
from serve_app.ledger.live_rates import Snapshot
from serve_app.ledger.meter import Meter
from serve_app.ledger.quotas import Spender, month_of
from serve_app.ledger.switchboard import Switchboard
from serve_app.ledger.switches import SwitchChange, Switches
from serve_app.ledger.sync import SyncRequest, SyncResponse

PERIOD_S = 0.6
"""From the start of one flush to the start of the next: with what a flush takes, no more than a second of usage is in
memory alone."""

_MONTH_PERIODS = 8
_HEARTBEAT_S = 10.0
_BEHIND_S = 3.0
_LAST_FLUSH_S = 5.0
_NAME_LENGTH = 6

log = logging.getLogger("ray.serve")


class Ledger:
    """One ingress replica's way to the database. Serving never waits for it."""

    def __init__(  # noqa: PLR0913  two of them are looks at what is beside it
        self,
        meter: Meter,
        switchboard: Switchboard,
        url: str,
        *,
        period_s: float = PERIOD_S,
        count_nodes: Callable[[], int] = lambda: 1,
        waiting: Callable[[], Mapping[str, int]] = dict,
        additions: AdditionBoard | None = None,
    ) -> None:
        """`switchboard` is the meter's. `count_nodes` says how many nodes may have ingress replicas; it may block.

        `waiting` tells how many tokens wait for each model in this replica.
        """
        self.meter = meter
        self._switchboard = switchboard
        self.additions = additions or AdditionBoard()
        self.others: Sequence[Mapping[str, Any]] = ()
        self.split = False
        self.history = History()
        self._count_nodes = count_nodes
        self._waiting = waiting
        self._url = url
        self._period_s = period_s
        self._replica = uuid.uuid4().hex
        self._sequence = 0
        self._unsent = Counts()
        self._sent: SyncRequest | None = None
        self._in_step_at = self._wrote_at = time.monotonic()
        self._away = False
        self._syncs, self._queries = DatabaseThread(url), DatabaseThread(url)
        self._task: asyncio.Task[None] | None = None

    @property
    def database(self) -> str:
        """Which kind of database it is."""
        return self._url.partition(":")[0].partition("+")[0]

    @property
    def behind_s(self) -> float:
        """For how many seconds the database has not been reached."""
        return time.monotonic() - self._in_step_at

    @property
    def behind(self) -> bool:
        """Whether usage waits in memory because the database is away."""
        return self.behind_s > _BEHIND_S + self._period_s

    @property
    def waiting_tokens(self) -> int:
        """Tokens that were counted and that the database is not known to have."""
        return self._unsent.tokens + (self._sent.counts.tokens if self._sent else 0)

    @property
    def switches(self) -> Switches:
        """What is off, as this replica knows it."""
        return self._switchboard.switches

    @property
    def live(self) -> list[Snapshot]:
        """The live figures of all replicas, this one first."""
        return [snapshot for _, snapshot in self.replicas]

    @property
    def replicas(self) -> list[tuple[str, Snapshot]]:
        """The live figures of each replica with its name, this one first."""
        others = ((str(other.get("name", "?")), other["live"]) for other in self.others)
        return [(self._name, self._own_live(time.time())), *others]

    @property
    def _name(self) -> str:
        return self._replica[:_NAME_LENGTH]

    def _own_live(self, now: float) -> Snapshot:
        return self.meter.last_minute.snapshot(now, self._waiting())

    async def start(self) -> None:
        """Learn what is switched off, and begin. If the database is away, all is on until it has been reached."""
        await self._try_to_tick(with_month=True)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is left, and stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            try:
                await asyncio.wait_for(self._flush_all(), _LAST_FLUSH_S)
            except (LedgerUnavailable, asyncio.TimeoutError):
                log.error("the ledger's database is away: %d tokens are lost", self.waiting_tokens)  # noqa: TRY400
        self._syncs.close()
        self._queries.close()

    async def look_around(self) -> None:
        """Learn whether the ledger is `split`: a SQLite file is for one node, and each further one has its own."""
        split = self.database == "sqlite" and await asyncio.to_thread(self._count_nodes) > 1
        if split and not self.split:
            log.warning(
                "the ledger is in SQLite and Ray has several nodes: each counts for itself, and a switch reaches the "
                "ingress replicas of one node only; set QDRANT_INFERENCE_DATABASE_URL to a PostgreSQL database"
            )
        self.split = split

    async def switch(self, change: SwitchChange) -> Switches:
        """Set switches, here at once.

        Raises:
            LedgerUnavailable: the database is away; one that hangs may yet do it.
        """
        # Not beside a sync: its response may be older than the change, and would come after it.
        self._switchboard.turn(await self._syncs.do(lambda database: database.switch(change)))
        return self.switches

    async def change_added(self, change: Change) -> bool:
        """Change the added models, here at once; whether the change was made.

        Raises:
            LedgerUnavailable: the database is away; one that hangs may yet do it.
        """
        done, rows = await self._syncs.do(lambda database: database.change_added(change))
        self.additions.turn(rows)
        return done

    async def usage(self, first: int, end: int, tenant: str | None, columns: Sequence[str]) -> list[dict[str, Any]]:
        """See `Database.usage`.

        Raises:
            LedgerUnavailable: the database is away.
        """
        return await self._queries.do(lambda database: database.usage(first, end, tenant, columns))

    async def _run(self) -> None:
        due = time.monotonic()
        for period in itertools.count(1):
            due = max(due + self._period_s, time.monotonic())  # periods that were missed are not made up for
            await asyncio.sleep(due - time.monotonic())
            await self._try_to_tick(with_month=period % _MONTH_PERIODS == 0)

    async def _try_to_tick(self, *, with_month: bool) -> None:
        try:
            await self.tick(with_month=with_month)
        except Exception as error:  # noqa: BLE001  whatever it is: usage is kept, and the next try may pass
            self._note_away(error)

    async def tick(self, *, with_month: bool = True) -> None:
        """Bring the database and this replica in step once.

        Raises:
            LedgerUnavailable: the database is away. What was counted is kept.
        """
        now = time.time()
        self._unsent.add_all(self.meter.take())
        self.history.note(now, lambda: self.live)
        quotas = self.meter.quotas
        month, tenants = month_of(now), quotas.tenants if with_month else frozenset[str]()
        request, writes = self._request(now)
        if writes:
            self._sent = request
        response = await self._syncs.do(
            lambda database: (database.sync if writes else database.pull)(request, month, tenants)
        )
        if writes:
            self._sent, self._wrote_at = None, time.monotonic()
            quotas.flushed(_spent(request.counts))
        self._merge(response)
        if tenants:
            quotas.learn_month(month, response.spent)

    def _request(self, now: float) -> tuple[SyncRequest, bool]:
        """The next request, or the last one again, and whether there is anything in it that is worth writing."""
        if self._sent:
            return self._sent, True
        live, quotas = self._own_live(now), self.meter.quotas.snapshot()
        snapshot = {"name": self._name, "live": live, "quotas": quotas}
        writes = bool(len(self._unsent) or live) or time.monotonic() - self._wrote_at > _HEARTBEAT_S
        counts = Counts()
        if writes:
            self._sequence += 1
            counts, self._unsent = self._unsent, counts
        return SyncRequest(self._replica, self._sequence, now, counts, snapshot), writes

    async def _flush_all(self) -> None:
        await self.tick(with_month=False)
        while self.waiting_tokens:
            await self.tick(with_month=False)

    def _merge(self, response: SyncResponse) -> None:
        if self._away:
            log.warning("the ledger's database is back after %.0f s", self.behind_s)
        self._away, self._in_step_at = False, time.monotonic()
        self._switchboard.turn(response.switches)
        self.additions.turn(response.added)
        self.others = response.others
        self.meter.quotas.merge(other["quotas"] for other in response.others)

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            cause = error.__cause__ or error
            reason = str(getattr(cause, "orig", cause)).partition("\n")[0][:200]
            log.warning("the ledger's database is away, usage is kept in memory: %s: %s", type(cause).__name__, reason)
        self._away = True


def _spent(counts: Counts) -> Iterable[tuple[Spender, int]]:
    return (((key.tenant, key.model), count.tokens) for key, count in counts)
