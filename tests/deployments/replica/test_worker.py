"""The thread that runs a model: what runs together and in which order, what fails, and what is given up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from deployments.contract import DenseVectors, Embeddings
from deployments.errors import InternalError, ModelUnavailable
from deployments.metrics.replica import ReplicaMeasures
from deployments.replica import worker as worker_module
from deployments.replica.work import Work
from deployments.replica.worker import Worker
from tests.support.numbers_model import Numbers


@pytest.fixture
def model() -> Numbers:
    return Numbers()


@pytest.fixture
async def worker(model: Numbers) -> AsyncIterator[Worker]:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=1, budget=100)
    yield worker
    model.go_on.set()
    await asyncio.to_thread(worker.close)


def start(worker: Worker, work: Work) -> asyncio.Task[Embeddings]:
    return asyncio.create_task(worker.run(work))


async def busy(worker: Worker, model: Numbers) -> asyncio.Task[Embeddings]:
    """Work that keeps the model busy until it is let go."""
    model.go_on.clear()
    task = start(worker, model.work(99))
    assert await asyncio.to_thread(model.started.wait, 10)
    model.chunks.clear()
    return task


def rows(embeddings: Embeddings) -> list[float]:
    assert isinstance(embeddings.vectors, DenseVectors)
    values: list[float] = embeddings.vectors.rows[:, 0].tolist()
    return values


async def test_vectors_come_back_in_the_order_of_the_inputs(worker: Worker, model: Numbers) -> None:
    embeddings = await worker.run(model.work(5, 90, 1, 30, 2))
    assert rows(embeddings) == [5, 90, 1, 30, 2]
    assert embeddings.tokens.tolist() == [5, 90, 1, 30, 2]
    assert embeddings.truncated == 5
    assert len(model.chunks) > 1


async def test_inputs_of_several_batches_run_together(worker: Worker, model: Numbers) -> None:
    await busy(worker, model)
    tasks = [start(worker, model.work(*numbers)) for numbers in ((10, 48), (11, 47), (9,))]
    await asyncio.sleep(0)
    model.go_on.set()
    assert [rows(await task) for task in tasks] == [[10, 48], [11, 47], [9]]
    assert [sorted(chunk) for chunk in model.chunks[1:]] == [[9, 10, 11], [47, 48]]


async def test_searches_run_before_updates(worker: Worker, model: Numbers) -> None:
    await busy(worker, model)
    tasks = [start(worker, model.work(60)), start(worker, model.work(61))]
    tasks += [start(worker, model.work(70, direction="search")), start(worker, model.work(71, direction="search"))]
    await asyncio.sleep(0)
    model.go_on.set()
    await asyncio.gather(*tasks)
    assert model.chunks[1:] == [[70], [71], [60], [61]]


async def test_a_small_batch_passes_a_large_one_that_came_before(worker: Worker, model: Numbers) -> None:
    await busy(worker, model)
    large, small = start(worker, model.work(*[60] * 50)), start(worker, model.work(2))
    await asyncio.sleep(0)
    model.go_on.set()
    await asyncio.gather(large, small)
    assert model.chunks[1] == [2]


@pytest.mark.parametrize("other", [{"direction": "search"}, {"options": {"k": 2}}])
async def test_only_work_of_one_kind_runs_together(worker: Worker, model: Numbers, other: Any) -> None:
    await busy(worker, model)
    tasks = [start(worker, model.work(10)), start(worker, model.work(10, **other))]
    await asyncio.sleep(0)
    model.go_on.set()
    await asyncio.gather(*tasks)
    assert model.chunks[1:] == [[10], [10]]


async def test_a_batch_that_is_given_up_before_it_starts_never_runs(worker: Worker, model: Numbers) -> None:
    await busy(worker, model)
    dropped, kept = start(worker, model.work(20, 80)), start(worker, model.work(30))
    await asyncio.sleep(0)
    dropped.cancel()
    await asyncio.sleep(0)
    model.go_on.set()
    assert rows(await kept) == [30]
    assert model.chunks[1:] == [[30]]


async def test_a_failure_reaches_those_of_its_chunk_and_no_others(worker: Worker, model: Numbers) -> None:
    await busy(worker, model)
    failing = [start(worker, model.work(40)), start(worker, model.work(41, 90))]
    await asyncio.sleep(0)
    model.fails_on = 40
    model.go_on.set()
    for task in failing:
        with pytest.raises(ZeroDivisionError):
            await task
    assert rows(await worker.run(model.work(7))) == [7]
    assert worker.alive
    assert [90] not in model.chunks, "what is left of a batch that failed is not run"


async def test_several_threads_share_a_batch(model: Numbers) -> None:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=2, budget=100)
    model.go_on.clear()
    task = start(worker, model.work(60, 61, 62))
    for _ in range(500):
        if sum(map(len, worker._queues.values())) == 1:
            break
        await asyncio.sleep(0.01)
    assert len(model.chunks) == 0, "two chunks run, none is done"
    model.go_on.set()
    assert rows(await task) == [60, 61, 62]
    assert worker.alive
    await asyncio.to_thread(worker.close)
    assert not worker.alive


async def test_idle_threads_share_what_waits(model: Numbers) -> None:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=2, budget=1000)
    for numbers, expected in (([50] * 6, [3, 3]), ([20, 20], [2])):
        await asyncio.to_thread(wait_until_idle, worker, 2)
        model.go_on.clear()
        task = start(worker, model.work(*numbers))
        await asyncio.to_thread(wait_until_idle, worker, 2 - len(expected))
        model.go_on.set()
        await task
        assert sorted(map(len, model.chunks)) == expected
        model.chunks.clear()
    await asyncio.to_thread(worker.close)


async def test_while_searches_come_a_thread_is_soon_there_for_the_next(model: Numbers) -> None:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=2, budget=100)

    async def left_waiting() -> int:
        await asyncio.to_thread(wait_until_idle, worker, 2)
        model.go_on.clear()
        tasks = [start(worker, model.work(99))]
        await asyncio.to_thread(wait_until_idle, worker, 1)
        tasks.append(start(worker, model.work(98, 20)))
        while worker._idle:  # noqa: ASYNC110  # a queue sets no event
            await asyncio.sleep(0.001)
        waiting = worker.waiting_tokens
        model.go_on.set()
        await asyncio.gather(*tasks)
        return waiting

    assert await left_waiting() == 20
    await worker.run(model.work(5, direction="search"))
    assert await left_waiting() == 98
    await asyncio.to_thread(worker.close)


async def test_a_run_has_all_threads_while_nothing_else_runs_or_waits(
    model: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CALM_S", 0.0)
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=2, budget=1000)

    async def ran(*works: Work) -> list[bool]:
        await asyncio.to_thread(wait_until_idle, worker, 2)
        model.alone.clear()
        model.go_on.clear()
        tasks = [start(worker, work) for work in works]
        await asyncio.to_thread(wait_until_idle, worker, 2 - min(2, sum(len(work.prepared.items) for work in works)))
        model.go_on.set()
        await asyncio.gather(*tasks)
        return model.alone

    assert await ran(model.work(5)) == [True]
    assert await ran(model.work(50, 60)) == [False, False], "a batch that two threads share"
    assert await ran(model.work(70)) == [True]
    monkeypatch.setattr(worker_module, "_CALM_S", 1000.0)
    assert await ran(model.work(5)) == [False], "others were there just now"
    await asyncio.to_thread(worker.close)


async def test_beside_a_run_that_has_all_threads_the_next_has_one(model: Numbers) -> None:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=2, budget=1000)
    await asyncio.to_thread(wait_until_idle, worker, 2)
    model.go_on.clear()
    first = start(worker, model.work(5))
    assert await asyncio.to_thread(model.started.wait, 10)
    second = start(worker, model.work(6))
    await asyncio.to_thread(wait_until_idle, worker, 0)
    model.go_on.set()
    await asyncio.gather(first, second)
    assert model.alone == [True, False]
    await asyncio.to_thread(worker.close)


def wait_until_idle(worker: Worker, threads: int) -> None:
    while worker._idle != threads or (threads < 2 and any(map(len, worker._queues.values()))):
        time.sleep(0.001)


async def test_a_vector_too_few_is_an_error(worker: Worker, model: Numbers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "run", lambda *_: DenseVectors(np.zeros((1, 1), np.float32)))
    with pytest.raises(InternalError, match="1 vectors for 2 inputs"):
        await worker.run(model.work(3, 3))


async def test_closing_ends_the_thread_and_whoever_waits_hears_of_it(model: Numbers) -> None:
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=1, budget=256)
    running = await busy(worker, model)
    waiting = start(worker, model.work(5))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(worker.close))
    await asyncio.sleep(0.05)
    model.go_on.set()
    await closing
    assert not worker.alive
    assert rows(await running) == [99]
    with pytest.raises(ModelUnavailable):
        await waiting
    with pytest.raises(ModelUnavailable):
        await worker.run(model.work(6))
    worker.close()


async def test_memory_goes_back_once_when_no_work_comes(monkeypatch: pytest.MonkeyPatch, model: Numbers) -> None:
    given = threading.Semaphore(0)
    monkeypatch.setattr(worker_module, "_IDLE_S", 0.01)
    monkeypatch.setattr(worker_module.memory, "release_free_memory", given.release)
    worker = Worker(ReplicaMeasures())
    worker.reconfigure(threads=1, budget=256)
    for _ in range(2):
        await worker.run(model.work(1))
        assert await asyncio.to_thread(given.acquire, timeout=10)
        assert not await asyncio.to_thread(given.acquire, timeout=0.05)
    worker.close()
