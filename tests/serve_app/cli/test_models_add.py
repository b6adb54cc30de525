"""Adding a model of one's own, from a folder and from a model hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from deployments.catalogue import catalogue
from deployments.catalogue.card import HubSource
from tests.support import fake_hub, own_model, tiny
from tests.support.commands import run
from tests.support.fake_hub import COMMIT, FakeHub


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue that is not there yet, and an empty cache."""
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "own.yaml"


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return own_model.fine_tuned(tmp_path / "ours")


@pytest.fixture
def hub(tuned: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with the model of the folder."""
    files = {p.relative_to(tuned).as_posix(): p.read_bytes() for p in tuned.rglob("*") if p.is_file()}
    with fake_hub.running({"shop/products": {**files, "training/log.json": b"{}"}}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


def left(cache: Path) -> list[str]:
    """What a cache holds besides locks."""
    return [path.name for path in cache.glob("*") if path.is_dir() or path.suffix != ".lock"]


def test_a_folder_becomes_an_entry_that_pins_its_files(tuned: Path, own: Path) -> None:
    status, said = run("add", tuned, "--name", "shop/products", "--catalogue", own)
    assert status == 0, said
    card = catalogue.load(own).find("shop/products", "test")
    assert (card.pooling, card.context_window, card.prefixes.query) == ("cls", 32, "ask: ")
    (source,) = card.sources
    assert all(file.sha256 for file in source.files.values())
    for wanted in ("update: the vectors of one alone", "name: shop/products", f"catalogue: {own}", "shop--products"):
        assert wanted in said
    assert run("verify", "shop/products", "--catalogue", own)[0] == 0
    assert "ready" in run("list", "--catalogue", own)[1]


def test_a_file_that_changes_afterwards_is_refused(tuned: Path, own: Path) -> None:
    run("add", tuned, "--catalogue", own)
    tiny.write(tuned, tiny.bert_tensors(), architectures=["BertModel"], initializer_range=0.3)
    status, said = run("pull", "ours", "--catalogue", own)
    assert status == 1
    assert "config.json: expected sha256" in said


def test_a_name_that_is_taken_is_refused_before_any_work(tuned: Path, own: Path) -> None:
    assert run("add", tuned, "--catalogue", own)[0] == 0
    before = own.read_text()
    for name in ("ours", "qdrant/BM25"):
        status, said = run("add", tuned, "--name", name, "--catalogue", own)
        assert status == 1
        assert f"there is a model '{name}' already" in said
    assert own.read_text() == before


def test_a_model_that_fails_its_check_is_not_added_and_leaves_nothing(tuned: Path, own: Path) -> None:
    tensors = tiny.bert_tensors()
    tensors["encoder.layer.0.output.dense.weight"][:] = np.nan
    save_file(tensors, tuned / "model.safetensors")
    status, said = run("add", tuned, "--catalogue", own)
    assert status == 1
    assert "not finite" in said
    assert not own.exists()
    assert left(own.parent / "cache") == []


def test_a_checkpoint_that_lacks_a_tensor_is_refused_by_its_name(tuned: Path, own: Path) -> None:
    tensors = tiny.bert_tensors()
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, tuned / "model.safetensors")
    status, said = run("add", tuned, "--catalogue", own)
    assert status == 1
    assert "no tensor 'encoder.layer.1.output.dense.weight'" in said
    assert not own.exists()


def test_a_colbert_in_a_folder_is_added(tmp_path: Path, own: Path) -> None:
    folder = own_model.write(tmp_path / "late", architectures=["HF_ColBERT"])
    projection = np.random.default_rng(3).standard_normal((8, tiny.HIDDEN)).astype(np.float32)
    bert = {f"bert.{name}": tensor for name, tensor in tiny.bert_tensors().items()}
    save_file({**bert, "linear.weight": projection}, folder / "model.safetensors")
    (folder / "artifact.metadata").write_text(json.dumps({"dim": 8, "query_maxlen": 16, "doc_maxlen": 40}))
    status, said = run("add", folder, "--catalogue", own)
    assert status == 0, said
    card = catalogue.load(own).find("late", "test")
    assert (card.family, card.dimensions, card.context_window) == ("late-interaction", 8, 40)


def test_a_repository_of_the_hub_is_added_at_its_commit(hub: FakeHub, own: Path) -> None:
    status, said = run("add", "shop/products", "--catalogue", own)
    assert status == 0, said
    card = catalogue.load(own).find("shop/products", "test")
    (source,) = card.sources
    assert isinstance(source, HubSource)
    assert (source.hub, source.revision, card.licence) == ("shop/products", COMMIT, "mit")
    assert all(file.sha256 for file in source.files.values())
    downloads = [path for method, path, _ in hub.asked if method == "GET"]
    assert sum("model.safetensors" in path for path in downloads) == 1
    assert not any("training" in path for path in downloads)
    hub.files.clear()
    assert run("verify", "shop/products", "--catalogue", own)[0] == 0


def test_what_is_neither_a_folder_nor_a_repository_is_said_so(own: Path) -> None:
    status, said = run("add", "/no/such/folder", "--catalogue", own)
    assert status == 1
    assert "neither a folder here nor the name of a repository" in said


def test_the_written_file_stays_yaml_that_people_can_read(tuned: Path, own: Path) -> None:
    run("add", tuned, "--name", "one", "--catalogue", own)
    own.write_text(own.read_text().replace("  - name: one", "  - name: one  # the first"))
    run("add", tuned, "--name", "two", "--catalogue", own)
    assert "  - name: one  # the first\n" in own.read_text()
    assert [item["name"] for item in yaml.safe_load(own.read_text())["models"]] == ["one", "two"]
