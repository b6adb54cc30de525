"""What the process does that fetches, checks and deploys an added model, without Ray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from safetensors.numpy import save_file

from deployments.catalogue.card import ModelCard
from deployments.files.store import ModelStore, State, cache_folder
from deployments.onboarding import adding
from serve_app import onboarding
from serve_app.cluster.additions import Step
from serve_app.ledger.additions import Addition, Wanted
from tests.parity.cases import CASES
from tests.support import fake_hub, own_model, tiny
from tests.support.fake_hub import COMMIT
from tests.support.models import entry


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return own_model.fine_tuned(tmp_path / "ours")


@pytest.fixture(autouse=True)
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were deployed; the cache is empty."""
    names: list[str] = []
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(onboarding, "deploy", lambda _, cards: names.extend(card.name for card in cards))
    monkeypatch.setattr(onboarding, "_PERIOD_S", 0.001)
    return names


@pytest.fixture
def hub(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    files = {p.relative_to(tuned).as_posix(): p.read_bytes() for p in tuned.rglob("*") if p.is_file()}
    with fake_hub.running({"shop/products": files}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield


def steps(wanted: Wanted, state: Any = "waiting", cards: Sequence[ModelCard] = ()) -> list[Step]:
    return list(onboarding.onboard(Addition(name=wanted.called, wanted=wanted, state=state, cards=tuple(cards))))


@pytest.mark.usefixtures("hub")
def test_a_repository_is_fetched_checked_pinned_and_deployed(deployed: list[str]) -> None:
    told = steps(Wanted(hub="shop/products"))
    assert told[-1].state == "ready"
    (card,) = told[-1].cards
    (source,) = card.sources
    assert (card.name, getattr(source, "revision", None)) == ("shop/products", COMMIT)
    assert all(file.sha256 for file in source.files.values())
    assert deployed == ["shop/products"]


@pytest.mark.usefixtures("hub")
def test_after_a_restart_only_what_is_missing_is_fetched(deployed: list[str]) -> None:
    wanted = Wanted(hub="shop/products")
    cards = steps(wanted)[-1].cards
    ModelStore(cache_folder()).remove(cards[0])
    told = steps(wanted, "ready", cards)
    assert {step.state for step in told} <= {"downloading", "ready"}
    assert ModelStore(cache_folder()).state(cards[0]) is State.READY
    assert deployed == ["shop/products"] * 2


def test_an_entry_with_a_folder_is_checked_where_it_lies(tuned: Path, deployed: list[str]) -> None:
    (card,) = adding.of_folder(tuned, "our/own", None).cards
    assert steps(Wanted(entry=card))[-1].state == "ready"
    assert deployed == ["our/own"]
    assert not list(onboarding.forget([card]))
    assert ModelStore(cache_folder()).state(card) is State.MISSING
    assert (tuned / "model.safetensors").exists()


def test_what_is_wrong_with_a_model_is_said_and_nothing_is_deployed(tuned: Path, deployed: list[str]) -> None:
    tensors = tiny.bert_tensors()
    tensors["encoder.layer.0.output.dense.weight"][:] = np.nan
    save_file(tensors, tuned / "model.safetensors")
    (card,) = adding.of_folder(tuned, "our/own", None).cards
    last = steps(Wanted(entry=card))[-1]
    assert last.state == "failed"
    assert "not finite" in str(last.reason)
    assert not deployed


@pytest.mark.usefixtures("hub")
def test_files_that_are_there_are_taken_from_a_cache_that_nobody_may_write_to(
    deployed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (card,) = steps(Wanted(hub="shop/products"))[-1].cards

    def refused(*_: Any) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(ModelStore, "_lock", refused)
    assert steps(Wanted(entry=card))[-1].state == "ready"
    assert deployed == ["shop/products"] * 2


@pytest.mark.usefixtures("hub")
def test_settings_that_no_replica_takes_fail_before_anything_is_fetched(deployed: list[str]) -> None:
    wanted = Wanted.model_validate({"hub": "shop/products", "deployment": {"user_config": {"thread": 2}}})
    (step,) = steps(wanted)
    assert "deployment.user_config: thread" in str(step.reason)
    assert not deployed
    assert not cache_folder().exists()


@pytest.mark.parametrize("name", ["random/bge-m3", "random/siglip"])
def test_several_vectors_and_pictures_pass_their_checks(tmp_path: Path, deployed: list[str], name: str) -> None:
    """One network with three kinds of vectors, and one name for texts and images."""
    case = next(case for case in CASES if case.card.name == name)
    card = ModelCard.model_validate(entry(tmp_path / "model", case))
    told = steps(Wanted(entry=card))
    assert told[-1].state == "ready", told[-1].reason
    (checked,) = told[-1].cards
    assert (checked.heads, checked.reads) == (case.card.heads, case.card.reads)
    addition = Addition(name=name, wanted=Wanted(entry=card), state="ready", cards=(checked,))
    kept = Addition.model_validate_json(addition.row("me", 0).content)
    assert kept.models == addition.models, "it survives a restart as a whole"
    assert deployed == [name]
