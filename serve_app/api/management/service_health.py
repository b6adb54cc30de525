"""How the service is doing at a glance, and what to do where something is wrong."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from serve_app.cluster.cached import Cached
from serve_app.cluster.model_states import ModelState
from serve_app.embedded.size import StoreSize
from serve_app.ledger.ledger import Ledger
from serve_app.protocol.deadlines import TimeLimit
from serve_app.protocol.messages import Request, read
from serve_app.upstream.base import Upstream

States = Callable[[], Awaitable[Mapping[str, ModelState]]]
MeasureStore = Callable[[], Awaitable[StoreSize]]

_KEPT_S = 30.0
_PATIENCE_S = 0.5
_LITTLE_SPACE = 2 * 2**30
_MOST_VERSION = 40


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: with what, in which way, and what to do."""

    about: str
    what: str
    to_do: str


class ServiceHealth:
    """Asks what is there: Qdrant or the embedded store, the ledger, the models."""

    def __init__(
        self,
        trouble: Callable[[], str],
        upstream: Upstream,
        ledger: Ledger,
        states: States,
        measure_store: MeasureStore | None,
    ) -> None:
        """`trouble` tells what is wrong with `upstream`, if anything. `measure_store` is there for an embedded one."""
        self._trouble = trouble
        self._upstream = upstream
        self._ledger = ledger
        self._states = states
        self.is_embedded = measure_store is not None
        self._version = Cached[str | None](self._ask_version, None, _KEPT_S, _PATIENCE_S)
        self._size = Cached[StoreSize | None](measure_store, None, _KEPT_S, _PATIENCE_S) if measure_store else None

    async def describe(self) -> dict[str, Any]:
        """Everything at once; nothing here takes longer than a second."""
        size = self._size.read() if self._size else _nothing()
        version, measured, states = await asyncio.gather(self._version.read(), size, self._states())
        trouble = self._trouble()
        return {
            "qdrant": {
                "kind": "embedded" if self.is_embedded else "server",
                "ready": not trouble,
                "trouble": trouble or None,
                "version": version,
            },
            "ledger": ledger_state(self._ledger),
            "store": asdict(measured) if measured else None,
            "problems": [asdict(problem) for problem in self._problems(measured, states)],
        }

    async def _ask_version(self) -> str | None:
        limit = TimeLimit(time.monotonic() + _KEPT_S, _KEPT_S)
        answer = await self._upstream.rest(Request("GET", "/", "", [], b"", time=limit))
        try:
            version = orjson.loads(await read(answer.body) or b"")["version"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return version[:_MOST_VERSION] if isinstance(version, str) else None

    def _problems(self, size: StoreSize | None, states: Mapping[str, ModelState]) -> Iterator[Problem]:
        yield from self._of_qdrant()
        yield from self._of_ledger()
        if size and size.free_bytes < _LITTLE_SPACE:
            free = f"its disk has {size.free_bytes / 2**20:,.0f} MB left"
            yield Problem("store", free, "Delete what is not needed, or move QDRANT_INFERENCE_DATA to a larger disk.")
        for name, state in states.items():
            if state.state == "failed":
                log = "The log of its replicas says more: in Ray's log folder, or by kubectl logs of its pod."
                yield Problem(name, state.reason or "it failed", log)

    def _of_qdrant(self) -> Iterator[Problem]:
        trouble = self._trouble()
        if not trouble:
            return
        if self.is_embedded:
            to_do = (
                "It starts anew by itself. If it does not within a minute, the log of the deployment Store says why."
            )
        else:
            to_do = "Look whether Qdrant runs, and whether QDRANT_URL leads there from this machine."
        yield Problem("qdrant", trouble, to_do)

    def _of_ledger(self) -> Iterator[Problem]:
        if self._ledger.behind:
            wait = f"its database is away for {math.floor(self._ledger.behind_s)} s; usage waits in memory"
            yield Problem("ledger", wait, "Look whether the database runs: see QDRANT_INFERENCE_DATABASE_URL.")
        if self._ledger.split:
            split = "it is in SQLite, but Ray has several nodes: each counts for itself"
            yield Problem("ledger", split, "Set QDRANT_INFERENCE_DATABASE_URL to a PostgreSQL database.")


def ledger_state(ledger: Ledger) -> dict[str, Any]:
    """How the ledger is doing."""
    return {
        "behind": ledger.behind,
        "behind_s": round(ledger.behind_s, 1) if ledger.behind else 0.0,
        "waiting_tokens": ledger.waiting_tokens,
        "database": ledger.database,
        "split": ledger.split,
    }


async def _nothing() -> None:
    return None
