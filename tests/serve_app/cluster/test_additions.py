"""Adding models while the service runs, with machines that do as they are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Model
from deployments.errors import AlreadyThere, InferenceError, UnknownModel, WrongInput
from serve_app.cluster.additions import Additions, Step
from serve_app.cluster.served import ServedModels
from serve_app.ledger.additions import Addition, AdditionBoard, Wanted
from serve_app.ledger.ledger import Ledger
from tests.support.clusters import FakeCluster
from tests.support.ledgers import make_ledger

ENTRY = {"family": "bm25", "licence": "-", "model_card_url": "-"}
EXTERNAL = {
    **ENTRY, "family": "dense", "dimensions": 4, "provider": {"kind": "tei", "url": "http://10.0.0.1", "model": "m"}
}  # fmt: skip
OLD = ModelCard.model_validate({"name": "old/one", "aliases": ["one"], **ENTRY})


def wanted(name: str = "new/one", **fields: Any) -> Wanted:
    return Wanted.model_validate({"entry": {"name": name, **ENTRY, **fields}})


def card(name: str, **fields: Any) -> ModelCard:
    return ModelCard.model_validate({"name": name, **ENTRY, **fields})


class Replica:
    """An ingress replica's part, with what it serves; several share a database and a cluster."""

    def __init__(self, url: str, cluster: FakeCluster, clock: Callable[[], float] = lambda: 1000.0) -> None:
        self.board = AdditionBoard()
        self.ledger: Ledger = make_ledger(url, period_s=3600, additions=self.board)
        self.served = ServedModels(Catalogue((OLD,), Path("models.yaml")), {}, self.board, lambda *_: NoModel())
        self.additions = Additions(self.ledger, self.served, cluster, loads_images=False, clock=clock)

    @property
    def names(self) -> list[str]:
        return [card.name for card in self.served.catalogue]

    async def state(self, name: str, wanted: str) -> None:
        deadline = time.monotonic() + 10
        while name not in self.board.current or self.board.current[name].state != wanted:
            assert time.monotonic() < deadline, self.board.current
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.additions.close()
        await self.ledger.close()


class NoModel(Model):
    """A way to nowhere."""


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


async def test_a_model_is_served_from_ready_on_by_every_replica(url: str, cluster: FakeCluster) -> None:
    cluster.steps = [Step("downloading", "m", 1, 2), Step("ready", cards=[card("new/one")])]
    cluster.may_end.clear()
    one, other = Replica(url, cluster), Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "downloading")
    assert (one.board.current["new/one"].done, one.board.current["new/one"].total) == (1, 2)
    assert one.names == ["old/one"]
    cluster.may_end.set()
    await one.state("new/one", "ready")
    await other.ledger.tick()
    for replica in (one, other):
        assert replica.names == ["old/one", "new/one"]
        assert replica.served.places["new/one"] == ("added--new--one", "new--one")
        assert set(replica.served.models) == set(replica.served.calls) == {"new/one"}
    await asyncio.gather(one.close(), other.close())


async def test_a_model_that_is_taken_away_is_served_by_nobody(url: str, cluster: FakeCluster) -> None:
    one, other = Replica(url, cluster), Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "ready")
    await other.ledger.tick()
    await other.additions.remove("new/one", files=True)
    await one.ledger.tick()
    for replica in (one, other):
        assert replica.names == ["old/one"]
        assert not replica.served.models
    assert not cluster.apps
    assert cluster.forgotten == ["new/one"]
    await asyncio.gather(one.close(), other.close())


async def test_work_that_is_under_way_is_broken_off_when_its_model_is_taken_away(
    url: str, cluster: FakeCluster
) -> None:
    cluster.steps = [Step("downloading"), Step("ready", cards=[card("new/one")])]
    cluster.may_end.clear()
    one = Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "downloading")
    await one.additions.remove("new/one", files=False)
    assert cluster.broken_off == ["new/one"]
    assert not one.board.current
    assert not cluster.forgotten
    await one.close()


async def test_what_another_replica_takes_away_while_it_is_deployed_does_not_stay(
    url: str, cluster: FakeCluster
) -> None:
    cluster.steps = [Step("checking"), Step("ready", cards=[card("new/one")])]
    cluster.may_end.clear()
    one, other = Replica(url, cluster), Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "checking")
    await other.ledger.tick()
    await other.additions.remove("new/one", files=False)
    cluster.may_end.set()
    await asyncio.gather(*one.additions._work.values())
    assert not cluster.apps
    assert not one.board.current
    await asyncio.gather(one.close(), other.close())


async def test_what_a_dead_replica_has_begun_another_one_ends(url: str, cluster: FakeCluster) -> None:
    cluster.may_end.clear()
    dead, other = Replica(url, cluster), Replica(url, cluster, lambda: 1010.0)
    late = Replica(url, cluster, lambda: 1020.0)
    await dead.additions.add(wanted())
    await asyncio.sleep(0.05)
    await dead.close()
    cluster.may_end.set()
    await other.ledger.tick()
    await late.ledger.tick()
    await other.additions.tend()
    assert cluster.begun == ["new/one"]  # who has just said something may still be there
    await late.additions.tend()
    await late.state("new/one", "ready")
    assert cluster.begun == ["new/one", "new/one"]
    await asyncio.gather(other.close(), late.close())


async def test_after_a_restart_it_is_deployed_again(url: str, cluster: FakeCluster) -> None:
    before = Replica(url, cluster)
    await before.additions.add(wanted())
    await before.state("new/one", "ready")
    await before.close()
    cluster.apps.clear()
    after = Replica(url, cluster, lambda: 2000.0)
    await after.ledger.tick()
    assert after.names == ["old/one", "new/one"]  # requests wait for its replica
    await after.additions.tend()
    await asyncio.gather(*after.additions._work.values())
    assert cluster.apps == {"added--new--one"}
    await after.close()


async def test_a_restart_that_cannot_deploy_says_why_and_tries_again(url: str, cluster: FakeCluster) -> None:
    now = [1000.0]
    one = Replica(url, cluster, lambda: now[0])
    await one.additions.add(wanted())
    await one.state("new/one", "ready")
    cluster.apps.clear()
    cluster.steps = [Step("failed", reason="the hub is away")]
    for attempt in (1, 2):
        now[0] += 60
        one.additions._periods = 0
        await one.additions.tend()
        await asyncio.gather(*one.additions._work.values())
        assert len(cluster.begun) == 1 + attempt
    addition = one.board.current["new/one"]
    assert (addition.state, addition.reason) == ("ready", "the hub is away")
    await one.close()


async def test_an_application_that_nobody_knows_of_is_ended_once_the_ledger_has_told(
    url: str, cluster: FakeCluster
) -> None:
    cluster.apps.add("added--left--over")
    one = Replica(url, cluster)
    await one.additions.tend()
    assert cluster.apps  # nothing is known yet: it may be a model that everybody uses
    await one.ledger.tick()
    one.additions._periods = 0
    await one.additions.tend()
    assert not cluster.apps
    await one.close()


async def test_one_that_fails_says_why_and_may_be_tried_again(url: str, cluster: FakeCluster) -> None:
    cluster.steps = [Step("failed", reason="a vector is empty")]
    one = Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "failed")
    assert one.board.current["new/one"].reason == "a vector is empty"
    assert one.names == ["old/one"]
    cluster.steps = []
    await one.additions.add(wanted())
    await one.state("new/one", "ready")
    await one.close()


async def test_a_process_that_ends_is_a_failure_with_a_reason(url: str, cluster: FakeCluster) -> None:
    cluster.error = RuntimeError("killed")
    one = Replica(url, cluster)
    await one.additions.add(wanted())
    await one.state("new/one", "failed")
    assert "ended (RuntimeError); it may need more memory" in str(one.board.current["new/one"].reason)
    await one.close()


@pytest.mark.parametrize(
    ("name", "fields", "error", "said"),
    [
        ("old/one", {}, AlreadyThere, "two models answer to the name 'old/one'"),
        ("ONE", {}, AlreadyThere, "two models answer to the name 'ONE'"),
        ("other", {"aliases": ["old/ONE"]}, AlreadyThere, "two models answer to the name 'old/ONE'"),
        ("there/one", {}, AlreadyThere, "'there/one' was added already"),
        ("there--one", {}, AlreadyThere, "whose name is too much like this one"),
        (
            "a/vision",
            {"family": "clip-vision", "dimensions": 4, "image_size": 8, "image_limits": {},
             "sources": [{"folder": "/x", "files": {}}]},
            WrongInput,
            "no image loader",
        ),
    ],
)  # fmt: skip
async def test_what_cannot_be_added_is_refused_at_once(  # noqa: PLR0913, PLR0917  one row of the table
    url: str, cluster: FakeCluster, name: str, fields: dict[str, Any], error: type[InferenceError], said: str
) -> None:
    one = Replica(url, cluster)
    await one.additions.add(wanted("there/one"))
    await one.state("there/one", "ready")
    with pytest.raises(error, match=said):
        await one.additions.add(wanted(name, **fields))
    assert set(one.board.current) == {"there/one"}
    await one.close()


async def test_two_who_add_the_same_at_once_add_it_once(url: str, cluster: FakeCluster) -> None:
    one, other = Replica(url, cluster), Replica(url, cluster)
    await one.additions.add(wanted())
    with pytest.raises(AlreadyThere, match="was added already, or is being added"):
        await other.additions.add(wanted())
    await asyncio.gather(one.close(), other.close())


async def test_a_repository_whose_model_has_a_name_that_is_taken_fails(url: str, cluster: FakeCluster) -> None:
    cluster.steps = [Step("downloading", cards=[card("old/one")]), Step("ready", cards=[card("old/one")])]
    one = Replica(url, cluster)
    await one.additions.add(Wanted(hub="shop/clip"))
    await one.state("shop/clip", "failed")
    assert "two models answer to the name 'old/one'" in str(one.board.current["shop/clip"].reason)
    assert one.names == ["old/one"]
    one.additions._periods = 0
    await one.additions.tend()
    assert not cluster.apps  # had it been deployed already
    await one.close()


async def test_only_added_models_are_taken_away(url: str, cluster: FakeCluster) -> None:
    one = Replica(url, cluster)
    with pytest.raises(WrongInput, match="stands in the catalogue of the Serve config file"):
        await one.additions.remove("old/one", files=False)
    with pytest.raises(UnknownModel, match="no model 'nobody' was added while the service ran; added: none"):
        await one.additions.remove("nobody", files=False)
    await one.close()


async def test_the_models_of_the_config_file_come_first_if_they_take_an_added_ones_name(
    url: str, cluster: FakeCluster
) -> None:
    before = Replica(url, cluster)
    await before.additions.add(wanted())
    await before.state("new/one", "ready")
    board = AdditionBoard()
    fixed = Catalogue((card("New/One"),), Path("models.yaml"))
    served = ServedModels(fixed, {}, board, lambda *_: NoModel())
    board.turn([before.board.current["new/one"].row("x", 0.0)])
    assert [one.name for one in served.catalogue] == ["New/One"]
    assert not served.models
    await before.close()


def test_what_another_version_has_written_is_left_out() -> None:
    board = AdditionBoard()
    known = Addition(name="new/one", wanted=wanted()).row("x", 0.0)
    board.turn([known, known._replace(name="newer", content='{"colour": "blue"}')])
    assert set(board.current) == {"new/one"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "expected 'hub' or 'entry'"),
        ({"hub": "a/b", "entry": {"name": "n", **ENTRY}}, "expected 'hub' or 'entry'"),
        ({"hub": "../.."}, "hub"),
        ({"hub": "a/b", "revision": "../x"}, "revision"),
        ({"entry": {"name": "n", **ENTRY}, "name": "m"}, "are for a repository of the hub"),
        ({"entry": {"name": "n", **ENTRY, "sources": [{"folder": "here", "files": {}}]}}, "sources"),
        ({"entry": {"name": "n", **EXTERNAL}}, "have no files to add"),
        ({"hub": "a/b", "deployment": {"ray_actor_options": {"runtime_env": {"pip": ["x"]}}}}, "runtime_env"),
        ({"hub": "a/b", "deployment": {"autoscaling_config": {"min_replicas": 2}}}, "more than max_replicas"),
    ],
)
def test_a_wish_that_is_wrong_is_refused(body: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Wanted.model_validate(body)
