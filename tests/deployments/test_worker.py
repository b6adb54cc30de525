from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import numpy as np
import pytest

from deployments import worker as worker_module
from deployments.contract import DenseVectors
from deployments.errors import ModelUnavailable
from deployments.worker import Call, Worker

VECTORS = DenseVectors(np.zeros((1, 2), np.float32))


class Log:
    """Calls that note their names, and one that keeps the worker busy until it is let go."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.started = threading.Event()
        self.go_on = threading.Event()

    def call(self, name: str) -> Call:
        def run() -> DenseVectors:
            self.names.append(name)
            return VECTORS

        return run

    def busy(self) -> DenseVectors:
        self.started.set()
        assert self.go_on.wait(10)
        return self.call("busy")()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def worker(log: Log) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    log.go_on.set()
    worker.close()


def keep_busy(worker: Worker, log: Log) -> None:
    worker.submit(log.busy, "update")
    assert log.started.wait(10)


def test_searches_run_before_updates_each_in_the_order_of_their_coming(worker: Worker, log: Log) -> None:
    keep_busy(worker, log)
    futures = [worker.submit(log.call(name), "update") for name in ("u1", "u2")]
    futures += [worker.submit(log.call(name), "search") for name in ("s1", "s2")]
    log.go_on.set()
    assert [future.result(10) for future in futures] == [VECTORS] * 4
    assert log.names == ["busy", "s1", "s2", "u1", "u2"]


def test_a_call_that_is_cancelled_before_it_starts_never_runs(worker: Worker, log: Log) -> None:
    keep_busy(worker, log)
    dropped = worker.submit(log.call("dropped"), "search")
    kept = worker.submit(log.call("kept"), "update")
    assert dropped.cancel()
    log.go_on.set()
    kept.result(10)
    assert log.names == ["busy", "kept"]


def test_a_call_that_fails_reaches_only_the_one_who_waits_for_it(worker: Worker, log: Log) -> None:
    def fails() -> DenseVectors:
        raise ZeroDivisionError

    failed = worker.submit(fails, "update")
    following = worker.submit(log.call("following"), "update")
    with pytest.raises(ZeroDivisionError):
        failed.result(10)
    assert following.result(10) is VECTORS
    assert worker.alive


def test_closing_ends_the_thread_and_cancels_what_waits(log: Log) -> None:
    worker = Worker()
    keep_busy(worker, log)
    waiting = worker.submit(log.call("waiting"), "search")
    closing = threading.Thread(target=worker.close)
    closing.start()
    log.go_on.set()
    closing.join(10)
    assert not worker.alive
    assert log.names == ["busy"]
    with pytest.raises(CancelledError):
        waiting.result(0)


def test_a_closed_worker_takes_no_calls_and_may_be_closed_again(log: Log) -> None:
    worker = Worker()
    worker.close()
    worker.close()
    with pytest.raises(ModelUnavailable):
        worker.submit(log.call("late"), "search")


def test_memory_goes_back_once_when_no_work_comes(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    given = threading.Semaphore(0)
    monkeypatch.setattr(worker_module, "_IDLE", 0.01)
    monkeypatch.setattr(worker_module.memory, "give_back", given.release)
    worker = Worker()
    for _ in range(2):
        worker.submit(log.call("work"), "search").result(10)
        assert given.acquire(timeout=10)
        assert not given.acquire(timeout=0.05)
    worker.close()
