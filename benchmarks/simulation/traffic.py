"""Sends a day's requests at their moments, whether or not earlier ones are answered (open loop)."""

from __future__ import annotations

import asyncio
import random
import string
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from benchmarks import load
from benchmarks.simulation import gpu
from benchmarks.simulation.day import Arrival, Kind

PATIENCE_S = 40.0
MOST_UNDER_WAY = 1000
"""So that a service that answers nothing cannot use up this machine. What comes beyond counts as failed."""

_BODIES = 50


@dataclass(frozen=True)
class Sent:
    """A request that was sent `at` so many seconds into the day: what it was answered with, and after how long."""

    at: float
    kind: str
    status: int | str
    seconds: float


@dataclass
class Log:
    """All requests that are done, and once a second how many were under way."""

    began: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    under_way: list[tuple[float, int]] = field(default_factory=list)


class _Sender:
    """Connections for one kind of request; as many as are needed at the same time."""

    def __init__(self, port: int, kind: Kind) -> None:
        self._connect: Callable[[], Awaitable[load.Send]] = load.http(
            port, [request(kind, some) for some in texts_of(kind)]
        )
        self._idle: list[load.Send] = []

    async def send(self) -> int | str:
        try:
            connection, status = await self._sent()
        except asyncio.TimeoutError:
            return "no answer"
        except OSError as error:
            return type(error).__name__
        self._idle.append(connection)
        return status

    async def _sent(self) -> tuple[load.Send, int | str]:
        while self._idle:
            connection = self._idle.pop()
            with suppress(load.NotSentError):  # the service closes what is idle for long
                return connection, await asyncio.wait_for(connection(), PATIENCE_S)
        connection = await self._connect()
        return connection, await asyncio.wait_for(connection(), PATIENCE_S)


async def send_all(port: int, arrivals: Iterable[Arrival], kinds: Sequence[Kind]) -> Log:
    """Send a day's requests to a port of this machine, and wait for the last answer.

    Raises:
        RuntimeError: it is not known what became of some.
    """
    log, count = Log(began=time.time()), 0
    senders = {kind.name: _Sender(port, kind) for kind in kinds}
    tasks: set[asyncio.Task[None]] = set()
    start = time.perf_counter()

    async def one(arrival: Arrival) -> None:
        status = await senders[arrival.kind.name].send()
        log.sent.append(Sent(arrival.at, arrival.kind.name, status, time.perf_counter() - start - arrival.at))

    async def watch() -> None:
        while True:
            log.under_way.append((time.perf_counter() - start, len(tasks)))
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    for arrival in arrivals:
        await asyncio.sleep(arrival.at - (time.perf_counter() - start))
        count += 1
        if len(tasks) >= MOST_UNDER_WAY:
            log.sent.append(Sent(arrival.at, arrival.kind.name, "not sent", 0.0))
            continue
        task = asyncio.create_task(one(arrival))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    watching.cancel()
    if len(log.sent) != count:
        raise RuntimeError(f"of {count} requests only {len(log.sent)} are known about")
    return log


def texts_of(kind: Kind) -> list[list[str]]:
    """The texts of a few requests of a kind: words of letters drawn by chance, for only lengths count here."""
    chance = random.Random(2)

    def text() -> str:
        return " ".join(
            "".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(kind.words)
        )

    return [[text() for _ in range(kind.texts)] for _ in range(_BODIES)]


def tokens_of(kind: Kind, prefix: str) -> float:
    """Tokens of an average request of a kind, whose texts get a prefix, as the GPU that is made up counts them."""
    return sum(gpu.tokens(prefix + text) for some in texts_of(kind) for text in some) / _BODIES


def characters_of(kind: Kind) -> float:
    """Characters of an average text of a kind."""
    return sum(len(text) for some in texts_of(kind) for text in some) / (_BODIES * kind.texts)


def request(kind: Kind, some: Sequence[str]) -> bytes:
    """A request as it goes over the wire: a search for one text, an upsert of several."""
    objects = [{"text": text, "model": kind.model} for text in some]
    if kind.texts == 1:
        return load.http_request("POST", "/collections/c/points/query", orjson.dumps({"query": objects[0]}))
    points = [{"id": number, "vector": value} for number, value in enumerate(objects)]
    return load.http_request("PUT", "/collections/c/points", orjson.dumps({"points": points}))
