"""What a session and a replica in this process do in a second."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch
from deployments.families.protocol import Family, Positions
from deployments.replica.replica import ModelReplica
from deployments.replica.settings import ReplicaSettings

_AT_A_TIME = 32
"""Batches that a replica is given at a time; `max_ongoing_requests` of `configs/serve-gpu.yaml`."""

_INPUTS, _CHARACTERS = 256, 131_072
"""Of a batch at most; `coalescing` of the ingress there."""

KINDS = ("tokenizer", "model", "MainThread")
"""The threads of a replica by the beginnings of their names: those that tokenize, those that run, the event loop."""


def session_rate(family: Family, inputs: Sequence[Any], settings: ReplicaSettings, seconds: float) -> float:
    """Tokens a second of the session alone, in runs as the replica makes them, as many at a time as it has streams."""
    prepared = family.prepare(Batch(inputs, "update"))
    chunks = list(_chunks(prepared, settings.token_budget))
    run = partial(family.run, prepared)
    tokens = 0
    with ThreadPoolExecutor(settings.streams) as streams:
        list(streams.map(run, chunks))
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            list(streams.map(run, chunks))
            tokens += int(prepared.tokens.sum())
    return tokens / (time.perf_counter() - began)


def _chunks(prepared: Any, budget: int) -> Iterator[Positions]:
    """All inputs in runs, the longest first, as the layout puts them together."""
    left = np.argsort(prepared.tokens, kind="stable")
    while len(left):
        tokens = prepared.tokens[left].tolist()
        chosen = list(prepared.layout.choose(tokens, len(left) - 1, budget))
        yield left[chosen]
        left = np.delete(left, chosen)


def latency(family: Family, one: Any, seconds: float) -> float:
    """Milliseconds of one input alone, tokenizing included: the median."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) < 3:
        began = time.perf_counter()
        prepared = family.prepare(Batch([one], "search"))
        family.run(prepared, np.arange(1))
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


@dataclass(frozen=True)
class Found:
    """What searches found: how many a second, and the median of their times in milliseconds."""

    rate: float
    median: float


def searches(
    card: ModelCard, folder: Path, settings: ReplicaSettings, texts: Sequence[str], seconds: float
) -> Mapping[int, Found]:
    """Of a replica in this process, asked for one text each, by so many at a time."""
    with asyncio.Runner() as runner:
        opened = ModelReplica(card, str(folder))
        try:
            runner.run(opened.reconfigure(settings.model_dump()))
            return {count: runner.run(_searched(opened, texts, seconds, count)) for count in (1, 4, 16, 64)}
        finally:
            opened.close()


async def _searched(opened: ModelReplica, texts: Sequence[str], seconds: float, at_a_time: int) -> Found:
    endless = itertools.cycle(Batch([text], "search") for text in texts)
    begins = time.perf_counter() + seconds / 4
    times: list[float] = []

    async def one_after_the_other() -> None:
        while (began := time.perf_counter()) < begins + seconds:
            await opened.embed(next(endless))
            if began >= begins:
                times.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_a_time)))
    return Found(len(times) / seconds, 1e3 * statistics.median(times))


@dataclass(frozen=True)
class Fed:
    """What a replica did: tokens a second, and the processor time of a token in nanoseconds, by kind of thread."""

    rate: float
    nanoseconds: Mapping[str, float]

    @property
    def cores(self) -> float:
        """How many cores it kept busy."""
        return self.rate * sum(self.nanoseconds.values()) / 1e9


Offer = Callable[[Sequence[str], float], Fed]
"""Gives a replica texts for so many seconds."""


@contextmanager
def replica(card: ModelCard, folder: Path, settings: ReplicaSettings, at_a_time: int = _AT_A_TIME) -> Iterator[Offer]:
    """A replica in this process, given so many batches at a time; they come and go as bytes, as between processes."""
    with asyncio.Runner() as runner:
        opened = ModelReplica(card, str(folder))
        try:
            runner.run(opened.reconfigure(settings.model_dump()))
            yield lambda texts, seconds: runner.run(_fed(opened, texts, seconds, at_a_time))
        finally:
            opened.close()


async def _fed(opened: ModelReplica, texts: Sequence[str], seconds: float, at_a_time: int) -> Fed:
    """Counted once all are under way, and until the last still come: neither filling nor emptying the replica."""
    endless = itertools.cycle([pickle.dumps(Batch(part, "update")) for part in _batches(texts)])
    done, tokens = asyncio.Event(), 0

    async def one_after_the_other() -> None:
        nonlocal tokens
        while not done.is_set():
            embeddings = await opened.embed(pickle.loads(next(endless)))
            pickle.dumps(embeddings)
            tokens += int(embeddings.tokens.sum())

    offering = asyncio.gather(*(one_after_the_other() for _ in range(at_a_time)))
    await asyncio.sleep(seconds)
    before, spent, began = tokens, _thread_seconds(), time.perf_counter()
    while tokens == before or time.perf_counter() < began + seconds:  # noqa: ASYNC110  it is time that is waited for
        await asyncio.sleep(min(seconds, 0.05))
    counted, took, after = tokens - before, time.perf_counter() - began, _thread_seconds()
    done.set()
    await offering
    return Fed(counted / took, {kind: 1e9 * (after[kind] - spent[kind]) / counted for kind in after})


def _thread_seconds() -> dict[str, float]:
    """The processor time of this process's threads so far, by the kinds of `KINDS`, and of all others."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent = dict.fromkeys((*KINDS, "others"), 0.0)
    for thread in psutil.Process().threads():
        kind = next((kind for kind in KINDS if names.get(thread.id, "").startswith(kind)), "others")
        spent[kind] += thread.user_time + thread.system_time
    return spent


def _batches(inputs: Sequence[str]) -> Iterator[list[str]]:
    """As the gateway makes them."""
    batch, characters = list[str](), 0
    for text in inputs:
        if batch and (len(batch) == _INPUTS or characters + len(text) > _CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    yield batch
