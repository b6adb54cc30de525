"""A thread with the ledger's database in it, because every call of that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from deployments.errors import LedgerUnavailable

if TYPE_CHECKING:
    from serve_app.ledger.database import Database

    _Calls = SimpleQueue[tuple[Callable[[Database], Any], Future[Any]] | None]

T = TypeVar("T")

PATIENCE_S = 10.0
"""How long a call may take. A database that answers at all says earlier that it cannot (`database.PATIENCE_S`)."""

_MOST_THREADS = 8
"""How many may hang before no further one is tried."""


class DatabaseThread:
    """Makes one call after the other. Where one hangs, its thread and connection are left, and new ones do the next.

    Its threads are daemons: the process may end while one hangs.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._calls: _Calls | None = None
        self._threads: list[Thread] = []

    async def do(self, call: Callable[[Database], T]) -> T:
        """What a call gives.

        Raises:
            LedgerUnavailable: the database cannot be reached; or it hangs, and may yet do what it was asked for.
        """
        calls, future = self._open(), Future[T]()
        calls.put((call, future))
        answer = asyncio.wrap_future(future)
        try:
            # `wait_for` may swallow a cancellation that comes together with the answer (until Python 3.12).
            await asyncio.wait([answer], timeout=PATIENCE_S)
            if answer.done():
                return answer.result()
        finally:
            answer.cancel()
        if calls is self._calls:
            self.close()
        raise _hangs()

    def close(self) -> None:
        """Let the thread end, and its connection with it, after the calls that it has."""
        if self._calls:
            self._calls.put(None)
            self._calls = None

    def _open(self) -> _Calls:
        if self._calls is None:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) >= _MOST_THREADS:
                raise _hangs()
            self._calls = SimpleQueue()
            self._threads.append(Thread(target=_work, args=(self._url, self._calls), name="ledger", daemon=True))
            self._threads[-1].start()
        return self._calls


def _hangs() -> LedgerUnavailable:
    return LedgerUnavailable("the ledger's database does not answer; usage is kept in memory meanwhile", PATIENCE_S)


def _work(url: str, calls: _Calls) -> None:
    database: Database | None = None
    while given := calls.get():
        call, future = given
        if not future.set_running_or_notify_cancel():  # nobody waits any more
            continue
        try:
            if database is None:
                from serve_app.ledger.database import Database  # noqa: PLC0415  see there

                database = Database(url)
            future.set_result(call(database))
        except BaseException as error:  # noqa: BLE001  it is raised where the call was asked for
            future.set_exception(error)
    if database:
        database.close()
