"""Replicas on the caller's machine: both ends of the channel in one process, without Ray."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from deployments import channel
from deployments.contract import Batch, DenseVectors, Embeddings
from deployments.errors import InternalError, WrongInput
from deployments.replica.channel_server import ChannelServer
from serve_app.cluster.handles import ReplicatedModel
from serve_app.cluster.near import Machine, Near, ReplicaGoneError

PREFIX = channel.socket_prefix("here", "app", "model")


class Replica:
    """Answers when it is told to; each vector says whose it is."""

    def __init__(self, path: Path, mark: float = 1.0) -> None:
        self.path = path
        self.mark = mark
        self.calls: list[Batch] = []
        self.cancelled = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.server = ChannelServer(self.embed)

    async def embed(self, batch: Batch) -> Embeddings:
        self.calls.append(batch)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if batch.inputs[0] == "wrong":
            raise WrongInput("no such input")
        if batch.inputs[0] == "bug":
            raise ZeroDivisionError("a bug")
        rows = np.full((len(batch), 3), self.mark, np.float32)
        return Embeddings(DenseVectors(rows), np.arange(len(batch)), truncated=1)

    def die(self) -> None:
        """As a process does that is killed: all of its connections close, its socket's name stays."""
        assert self.server._server
        self.server._server.close()
        for caller in list(self.server._callers):
            caller._transport.abort()


class Here:
    """A machine with replicas of one deployment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = 1
        self.machine = Machine(folder, "here", lambda: self.nodes)
        self.near: Near = self.machine.near("app", "model")
        self.replicas: list[Replica] = []

    async def start(self, mark: float = 1.0) -> Replica:
        replica = Replica(self.folder / f"{PREFIX}{len(self.replicas)}", mark)
        await replica.server.start(replica.path)
        self.replicas.append(replica)
        await self.look()
        return replica

    async def look(self) -> None:
        await until(lambda: self.machine._looking is None)
        self.machine._looked = self.machine._counted = -1e9
        self.machine.look()
        assert self.machine._looking
        await self.machine._looking

    async def embed(self, *texts: str) -> Embeddings:
        best = self.near.best()
        assert best
        return await best.embed(Batch(texts, "search"))


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Here]:
    with TemporaryDirectory(dir="/tmp") as folder:
        there = Here(Path(folder))
        yield there
        there.machine.close()
        for replica in there.replicas:
            replica.may_answer.set()
            await replica.server.close(1)


async def until(what: Callable[[], Any]) -> None:
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


async def test_a_batch_comes_back_as_its_embeddings(here: Here) -> None:
    await here.start()
    answers = await asyncio.gather(*(here.embed(*["x" * 50_000] * size) for size in (1, 7, 60)))
    assert [answer.vectors.rows.shape for answer in answers] == [(1, 3), (7, 3), (60, 3)]  # type: ignore[union-attr]
    assert [answer.tokens.tolist() for answer in answers] == [[0], list(range(7)), list(range(60))]
    assert answers[0].truncated == 1


async def test_errors_come_back_as_what_they_are_and_bugs_as_ours(here: Here) -> None:
    await here.start()
    with pytest.raises(WrongInput, match="no such input"):
        await here.embed("wrong")
    with pytest.raises(InternalError, match="ZeroDivisionError: a bug"):
        await here.embed("bug")
    assert len(await here.embed("fine")) == 1


async def test_who_gives_up_ends_the_call(here: Here) -> None:
    replica = await here.start()
    replica.may_answer.clear()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(here.embed("a"), 0.05)
    await until(lambda: replica.cancelled == 1)
    replica.may_answer.set()
    assert len(await here.embed("b")) == 1


async def test_the_replica_with_the_least_to_do_is_asked_and_none_has_more_than_it_takes(here: Here) -> None:
    first, second = await here.start(), await here.start()
    for replica in here.replicas:
        replica.may_answer.clear()
    calls = [asyncio.create_task(here.embed(text)) for text in ("a" * 1000, "b", "c", "d")]
    await until(lambda: len(first.calls) + len(second.calls) == 4)
    assert sorted((len(first.calls), len(second.calls))) == [1, 3]
    calls += [asyncio.create_task(here.embed("e")) for _ in range(28)]
    await until(lambda: len(first.calls) + len(second.calls) == 32)
    assert here.near.best() is None
    for replica in here.replicas:
        replica.may_answer.set()
    await asyncio.gather(*calls)
    assert here.near.best() is not None


async def test_beside_other_machines_only_one_call_at_a_time_stays_here(here: Here) -> None:
    here.nodes = 2
    replica = await here.start()
    replica.may_answer.clear()
    call = asyncio.create_task(here.embed("a"))
    await until(lambda: replica.calls)
    assert here.near.best() is None
    replica.may_answer.set()
    await call
    assert here.near.best() is not None


async def test_a_replica_that_is_stopped_finishes_what_it_has_and_gets_no_more(here: Here) -> None:
    leaving, staying = await here.start(1.0), await here.start(2.0)
    for replica in here.replicas:
        replica.may_answer.clear()
    calls = [asyncio.create_task(here.embed("a")) for _ in range(4)]
    await until(lambda: len(leaving.calls) == len(staying.calls) == 2)
    stop = asyncio.create_task(leaving.server.close(10))
    await until(lambda: len(here.near.known) == 1)
    assert not leaving.path.exists()
    calls += [asyncio.create_task(here.embed("b")) for _ in range(2)]
    await until(lambda: len(staying.calls) == 4)
    assert not stop.done()
    leaving.may_answer.set()
    await stop
    staying.may_answer.set()
    marks = [float((await call).vectors[0][0]) for call in calls]  # type: ignore[index]
    assert sorted(marks) == [1, 1, 2, 2, 2, 2]


async def test_a_replica_that_does_not_finish_is_closed_all_the_same(here: Here) -> None:
    replica = await here.start()
    replica.may_answer.clear()
    call = asyncio.create_task(here.embed("a"))
    await until(lambda: replica.calls)
    await replica.server.close(0.05)
    with pytest.raises(ReplicaGoneError):
        await call


class Elsewhere:
    """A handle of Ray Serve's, whose replicas answer with a mark of their own."""

    def options(self, method_name: str) -> Elsewhere:
        assert method_name == "embed"
        return self

    def remote(self, batch: Batch) -> Any:
        async def answer() -> Embeddings:
            return Embeddings(DenseVectors(np.full((len(batch), 3), 9, np.float32)), np.zeros(len(batch), np.int64))

        return asyncio.ensure_future(answer())


async def test_what_a_killed_replica_leaves_undone_is_done_by_another(here: Here) -> None:
    handle: Any = Elsewhere()
    model, batch = ReplicatedModel("m", handle, here.near), Batch(["a"], "search")
    assert float((await model.embed(batch)).vectors[0][0]) == 9  # type: ignore[index]  # none is here yet
    replica = await here.start()
    assert float((await model.embed(batch)).vectors[0][0]) == 1  # type: ignore[index]
    replica.may_answer.clear()
    call = asyncio.create_task(model.embed(batch))
    await until(lambda: len(replica.calls) == 2)
    replica.die()
    assert float((await call).vectors[0][0]) == 9  # type: ignore[index]
    assert here.near.best() is None


async def test_sockets_of_others_are_left_alone_and_those_of_killed_replicas_removed(here: Here) -> None:
    await here.start()
    other = here.folder / (channel.socket_prefix("here", "app", "other") + "1")
    dead = here.folder / f"{PREFIX}dead"
    for path in (other, dead):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    await here.look()
    assert other.exists()
    assert not dead.exists()
    assert len(here.near.known) == 1


async def test_new_replicas_are_found_while_there_are_calls(here: Here) -> None:
    await here.start(1.0)
    second = Replica(here.folder / f"{PREFIX}later", 2.0)
    here.replicas.append(second)
    await second.server.start(second.path)

    def found() -> bool:
        return here.near.best() is not None and len(here.near.known) == 2

    await until(found)


def test_the_folder_is_for_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(channel.VARIABLE, str(tmp_path / "sockets"))
    made = channel.folder()
    assert made == tmp_path / "sockets"
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o750)
    assert channel.folder() is None
    made.rmdir()
    made.symlink_to(tmp_path)
    assert channel.folder() is None
    monkeypatch.setenv(channel.VARIABLE, str(tmp_path / "missing" / "sockets"))
    assert channel.folder() is None
    monkeypatch.delenv(channel.VARIABLE)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = channel.folder()
    assert own is not None
    assert own.parent == tmp_path


async def test_a_machine_without_such_a_folder_has_none() -> None:
    assert Machine(None, "here", lambda: 1).near("app", "model").best() is None
