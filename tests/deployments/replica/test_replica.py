"""The replica with a family that does nothing but tell what it was asked."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, DenseVectors, Direction, Embeddings, JsonVectors, Running
from deployments.errors import ConfigError, InternalError, ModelError, ModelUnavailable
from deployments.families.protocol import Positions, Prepared
from deployments.networks.alone import is_alone
from deployments.networks.layouts import Padded
from deployments.networks.settings import SessionSettings
from deployments.replica import loading
from deployments.replica.replica import ModelReplica
from deployments.replica.settings import ReplicaSettings

NAME = "starter/splade-tiny"


class FakeFamily:
    """A text of n characters has n tokens and the vector [n]; `busy` waits to be let go, `broken` fails."""

    running = Running(None, None)

    def __init__(self, settings: SessionSettings) -> None:
        self.settings = settings
        self.runs: list[list[str]] = []
        self.alone: list[bool] = []
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.broken = False

    def samples(self) -> Sequence[Batch]:
        return [Batch(["warm up"], "search")]

    def prepare(self, batch: Batch) -> Prepared:
        tokens = np.array([len(text) for text in batch.inputs])
        return Prepared(batch, batch.inputs, tokens, truncated=1, layout=Padded(64))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        texts = [prepared.items[position] for position in positions]
        self.runs.append(texts)
        self.alone.append(is_alone())
        if self.broken or texts == ["broken"]:
            raise InternalError("broken")
        if texts == ["busy"]:
            self.started.set()
            assert self.go_on.wait(10)
        return DenseVectors(np.array([[len(text)] for text in texts], np.float32))


class Loads(list[FakeFamily]):
    """Every family that was loaded; as a function, stands in for `load_family`."""

    def __call__(self, card: ModelCard, folder: Path | None, settings: SessionSettings) -> FakeFamily:
        if settings.precision == "float16":
            raise ModelError("no float16")
        self.append(FakeFamily(settings))
        return self[-1]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    loads = Loads()
    monkeypatch.setattr(loading, "load_family", loads)
    return loads


@pytest.fixture
async def replica(starter: Catalogue, loads: Loads) -> AsyncIterator[ModelReplica]:
    replica = ModelReplica(starter.find(NAME, "test"), "folder")
    await replica.reconfigure({"token_budget": 12, "streams": 1})
    loads[0].runs.clear()
    yield replica
    for family in loads:
        family.go_on.set()
    replica.close()


async def keep_busy(replica: ModelReplica, family: FakeFamily) -> asyncio.Task[Embeddings]:
    task = asyncio.create_task(replica.embed(Batch(["busy"], "update")))
    await asyncio.to_thread(family.started.wait, 10)
    return task


async def queued(replica: ModelReplica, texts: list[str], direction: Direction) -> asyncio.Task[Embeddings]:
    """A call whose chunks wait in the worker's queue."""
    before = waiting(replica)
    task = asyncio.create_task(replica.embed(Batch(texts, direction)))
    while waiting(replica) == before:  # noqa: ASYNC110  # a queue sets no event
        await asyncio.sleep(0.001)
    return task


def waiting(replica: ModelReplica) -> int:
    return sum(map(len, replica._worker._queues.values()))


async def test_a_batch_is_cut_by_its_tokens_and_comes_back_in_its_order(replica: ModelReplica, loads: Loads) -> None:
    embeddings = await replica.embed(Batch(["aa", "bbbbbb", "c", "dddddd", "ee"], "update"))
    assert isinstance(embeddings.vectors, DenseVectors)
    assert embeddings.vectors.rows[:, 0].tolist() == [2, 6, 1, 6, 2]
    assert embeddings.tokens.tolist() == [2, 6, 1, 6, 2]
    assert embeddings.truncated == 1
    assert sorted(map(sorted, loads[0].runs)) == [["aa", "c", "ee"], ["bbbbbb", "dddddd"]]


async def test_vectors_are_written_as_json_beside_others_but_not_where_a_gpu_waits(
    replica: ModelReplica, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Batch(["aa", "bbbbbb", "c"], "update", as_json=True)
    written, numbers = await asyncio.gather(replica.embed(wanted), replica.embed(Batch(["dd"], "update")))
    assert isinstance(written.vectors, JsonVectors)
    assert written.vectors.texts == [b"[2.0]", b"[6.0]", b"[1.0]"]
    assert written.tokens.tolist() == [2, 6, 1]
    assert isinstance(numbers.vectors, DenseVectors)
    monkeypatch.setattr(loads[0], "running", Running("cuda", "float16"))
    assert isinstance((await replica.embed(wanted)).vectors, DenseVectors)


async def test_a_search_waits_for_no_more_than_the_chunk_that_runs(replica: ModelReplica, loads: Loads) -> None:
    busy = await keep_busy(replica, loads[0])
    update = await queued(replica, ["u" * 12, "u" * 11], "update")
    search = await queued(replica, ["search"], "search")
    loads[0].go_on.set()
    await asyncio.gather(busy, update, search)
    assert loads[0].runs == [["busy"], ["search"], ["u" * 12], ["u" * 11]]


async def test_the_chunks_of_a_caller_who_gave_up_are_dropped(replica: ModelReplica, loads: Loads) -> None:
    busy = await keep_busy(replica, loads[0])
    given_up = await queued(replica, ["x" * 12, "x" * 11], "update")
    kept = await queued(replica, ["kept"], "update")
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    loads[0].go_on.set()
    await asyncio.gather(busy, kept)
    assert loads[0].runs == [["busy"], ["kept"]]


async def test_long_texts_are_tokenized_beside_the_event_loop(replica: ModelReplica, loads: Loads) -> None:
    threads: list[str] = []
    prepare = loads[0].prepare

    def noted(batch: Batch) -> Prepared:
        threads.append(threading.current_thread().name)
        return prepare(batch)

    loads[0].prepare = noted  # type: ignore[method-assign]
    await replica.embed(Batch(["short", "texts"], "search"))
    await replica.embed(Batch(["x" * 600, "y" * 600], "search"))
    assert threads[0] == threading.current_thread().name
    assert threads[1].startswith("tokenizer")


@pytest.mark.parametrize("threads", [1, 3])
async def test_as_many_batches_are_tokenized_at_a_time_as_the_settings_say(
    replica: ModelReplica, loads: Loads, threads: int
) -> None:
    await replica.reconfigure({"token_budget": 12, "streams": 1, "tokenizing_threads": threads})
    assert len(loads) == 1, "the model was loaded again"
    prepare, full, over = loads[0].prepare, threading.Semaphore(0), threading.Event()

    def held(batch: Batch) -> Prepared:
        full.release()
        assert over.wait(10)
        return prepare(batch)

    loads[0].prepare = held  # type: ignore[method-assign]
    tasks = [asyncio.create_task(replica.embed(Batch(["x" * 2000], "update"))) for _ in range(4)]
    for _ in range(threads):
        assert await asyncio.to_thread(full.acquire, timeout=10)
    await asyncio.sleep(0.05)
    assert not full.acquire(blocking=False), "more at a time"
    over.set()
    await asyncio.gather(*tasks)


async def test_an_error_reaches_only_its_own_caller(replica: ModelReplica, loads: Loads) -> None:
    busy = await keep_busy(replica, loads[0])
    bad = await queued(replica, ["broken", "xxxxxxx"], "update")
    good = await queued(replica, ["good"], "search")
    loads[0].go_on.set()
    with pytest.raises(InternalError, match="broken"):
        await bad
    assert len((await good).vectors) == 1
    assert len((await busy).vectors) == 1


async def test_the_event_loop_goes_on_while_the_model_runs(replica: ModelReplica, loads: Loads) -> None:
    busy = await keep_busy(replica, loads[0])
    assert not busy.done()
    loads[0].go_on.set()
    await busy


async def test_before_the_first_request_the_model_has_run_samples_and_the_largest_chunk(
    starter: Catalogue, loads: Loads
) -> None:
    replica = ModelReplica(starter.find(NAME, "test"), None)
    await replica.reconfigure({"token_budget": 15, "streams": 2})
    runs = [["warm up"], ["warm up"] * 2]
    assert loads[0].runs == [run for run in runs for _ in range(3)], "each on both streams, and alone"
    assert loads[0].alone == [False, False, True] * 2
    replica.close()


async def test_no_sample_is_run_when_the_time_for_it_is_over(
    starter: Catalogue, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_WARM_UP_SECONDS", -1.0)
    replica = ModelReplica(starter.find(NAME, "test"), None)
    await replica.reconfigure({"streams": 1})
    assert loads[0].runs == [["warm up"]]
    replica.close()


async def test_a_model_has_as_many_threads_as_the_replica_has_cores(
    starter: Catalogue, loads: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "reserved", lambda resource: 4 if resource == "CPU" else 0)
    replica = ModelReplica(starter.find(NAME, "test"), None)
    for said in (0, 3):
        await replica.reconfigure({"threads": said})
    assert [family.settings.threads for family in loads] == [4, 3]
    replica.close()


async def test_a_replica_is_healthy_while_its_model_runs(replica: ModelReplica, loads: Loads) -> None:
    await replica.check_health()
    assert loads[0].runs == [["warm up"]]
    loads[0].broken = True
    with pytest.raises(InternalError, match="broken"):
        await replica.check_health()


async def test_a_health_check_overtakes_a_bulk_upload(replica: ModelReplica, loads: Loads) -> None:
    busy = await keep_busy(replica, loads[0])
    update = await queued(replica, ["u" * 12], "update")
    health = asyncio.create_task(replica.check_health())
    await asyncio.sleep(0)
    loads[0].go_on.set()
    await asyncio.gather(busy, update, health)
    assert loads[0].runs == [["busy"], ["warm up"], ["u" * 12]]


async def test_health_checks_are_no_load(replica: ModelReplica, loads: Loads) -> None:
    for _ in range(3):
        await replica.check_health()
    assert not any(replica.record_autoscaling_stats().values()), "a model that is only checked may go to zero"
    busy = await keep_busy(replica, loads[0])
    health = asyncio.create_task(replica.check_health())
    await asyncio.sleep(0.01)
    assert waiting(replica) == 1
    assert replica.record_autoscaling_stats() == {"busy": 0, "backlog_s": 0, "batch_s": 0}
    loads[0].go_on.set()
    await asyncio.gather(busy, health)
    assert replica.record_autoscaling_stats()["busy"] > 0


async def test_settings_that_the_model_cannot_have_end_the_replicas_health(replica: ModelReplica) -> None:
    with pytest.raises(ModelError, match="no float16"):
        await replica.reconfigure({"precision": "float16"})
    with pytest.raises(ModelError, match="no float16"):
        await replica.check_health()
    await replica.reconfigure({"precision": "float32"})
    await replica.check_health()


async def test_a_replica_without_a_model_is_unavailable_not_broken(starter: Catalogue) -> None:
    replica = ModelReplica(starter.find(NAME, "test"), None)
    await replica.check_health()
    with pytest.raises(ModelUnavailable):
        await replica.embed(Batch(["text"], "search"))
    replica.close()


async def test_only_settings_of_the_session_load_the_model_again(replica: ModelReplica, loads: Loads) -> None:
    await replica.reconfigure({"token_budget": 6, "streams": 1})
    assert len(loads) == 1
    await replica.embed(Batch(["aaaaaa", "bbbbbb"], "update"))
    assert loads[0].runs == [["aaaaaa"], ["bbbbbb"]]
    await replica.reconfigure({"token_budget": 6, "streams": 1, "threads": 1})
    assert [family.settings.threads for family in loads] == [os.cpu_count(), 1]


async def test_a_replica_runs_as_its_own_model_does(starter: Catalogue, replica: ModelReplica, loads: Loads) -> None:
    loads[0].running = Running("openvino", "bfloat16")
    assert await replica.running() == Running("openvino", "bfloat16")
    without_a_model = ModelReplica(starter.find(NAME, "test"), None)
    assert await without_a_model.running() == Running(None, None)
    without_a_model.close()


async def test_the_old_model_serves_on_when_the_new_one_cannot_be_loaded(replica: ModelReplica, loads: Loads) -> None:
    with pytest.raises(ModelError):
        await replica.reconfigure({"token_budget": 1, "precision": "float16"})
    await replica.embed(Batch(["aaaaaa", "bbbbbb"], "update"))
    assert loads[0].runs == [["aaaaaa", "bbbbbb"]]


@pytest.mark.parametrize("config", [{"token_budgets": 5}, {"token_budget": 0}, {"provider": "tpu"}])
async def test_a_wrong_setting_is_named_with_its_deployment(replica: ModelReplica, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"user_config of 'starter--splade-tiny': {next(iter(config))}: "):
        await replica.reconfigure(config)


async def test_closing_leaves_no_thread(starter: Catalogue, loads: Loads) -> None:
    before = set(threading.enumerate())
    replica = ModelReplica(starter.find(NAME, "test"), None)
    await replica.reconfigure({})
    await replica.embed(Batch(["text"], "search"))
    replica.close()
    replica.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith(("model", "tokenizer"))}
    with pytest.raises(ModelUnavailable):
        await replica.embed(Batch(["text"], "search"))
    with pytest.raises(InternalError):
        await replica.check_health()


async def test_a_replica_that_is_dropped_leaves_no_thread(starter: Catalogue, loads: Loads) -> None:
    replica = ModelReplica(starter.find(NAME, "test"), None)
    await replica.reconfigure({})
    threads = replica._worker._threads
    assert len(threads) == 2
    del replica
    assert not any(thread.is_alive() for thread in threads)


def test_the_settings_of_a_session_are_part_of_a_replicas() -> None:
    settings = ReplicaSettings(token_budget=5, provider="cpu", threads=3)
    assert settings.session() == SessionSettings(provider="cpu", threads=3)
