"""What the store finds of files that were pulled: whole, damaged, or missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from deployments.catalogue.card import ModelCard
from deployments.errors import ModelFilesError
from deployments.files.store import ModelStore, State, cache_folder
from tests.support.wheels import GOOD, WEIGHTS, card_of, folder_source, sha256, wheel_source


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("QDRANT_INFERENCE_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "qdrant-inference"


def test_a_model_without_files_is_always_ready(store: ModelStore) -> None:
    card = ModelCard(name="bm", family="bm25", licence="none", model_card_url="none")
    store.verify(card)
    assert (store.state(card), store.folder(card), store.pull(card)) == (State.READY, None, None)
    assert not store.cache.exists()


def test_a_model_that_was_not_pulled_is_missing_and_the_error_names_the_command(store: ModelStore) -> None:
    card = card_of(GOOD)
    assert store.state(card) is State.MISSING
    with pytest.raises(ModelFilesError, match=r"toys/bear.*missing.*qdrant-inference models pull"):
        store.folder(card)
    with pytest.raises(ModelFilesError, match=r"toys/bear.*missing"):
        store.verify(card)


@pytest.mark.usefixtures("shelf")
def test_a_file_of_another_size_is_seen_and_the_next_pull_repairs_it(store: ModelStore) -> None:
    card = card_of(GOOD)
    folder = store.pull(card)
    assert folder is not None
    os.truncate(folder / "weights.bin", 10)
    assert store.state(card) is State.DAMAGED
    with pytest.raises(ModelFilesError, match=r"damaged.*qdrant-inference models pull"):
        store.folder(card)
    store.pull(card)
    assert (folder / "weights.bin").read_bytes() == WEIGHTS


@pytest.mark.usefixtures("shelf")
def test_a_file_that_was_deleted_is_seen_and_the_next_pull_repairs_it(store: ModelStore) -> None:
    card = card_of(GOOD)
    folder = store.pull(card)
    assert folder is not None
    (folder / "weights.bin").unlink()
    assert store.state(card) is State.DAMAGED
    store.pull(card)
    assert store.state(card) is State.READY


@pytest.mark.usefixtures("shelf")
def test_other_bytes_of_the_same_size_are_found_by_verify_and_repaired_by_pull(store: ModelStore) -> None:
    card = card_of(GOOD)
    folder = store.pull(card)
    assert folder is not None
    (folder / "weights.bin").write_bytes(bytes(len(WEIGHTS)))
    with pytest.raises(ModelFilesError) as caught:
        store.verify(card)
    expected, found = sha256(WEIGHTS), sha256(bytes(len(WEIGHTS)))
    assert f"toys/bear: weights.bin: expected sha256 {expected}, found {found}" in str(caught.value)
    store.pull(card)
    store.verify(card)


@pytest.mark.usefixtures("shelf")
def test_a_check_of_a_folder_reads_what_was_pulled_there_and_knows_nothing_of_others(
    store: ModelStore, tmp_path: Path
) -> None:
    card = card_of(GOOD)
    store.check(card, tmp_path)
    folder = store.pull(card)
    assert folder is not None
    store.check(card, folder)
    (folder / "weights.bin").write_bytes(bytes(len(WEIGHTS)))
    with pytest.raises(ModelFilesError, match=sha256(WEIGHTS)):
        store.check(card, folder)
    store.check(card, tmp_path)


@pytest.mark.usefixtures("shelf")
def test_without_a_known_sha256_verify_compares_with_what_was_pulled(store: ModelStore) -> None:
    card = card_of(wheel_source({"weights.bin": {"path": "toy/weights.bin"}}))
    folder = store.pull(card)
    assert folder is not None
    (folder / "weights.bin").write_bytes(bytes(len(WEIGHTS)))
    with pytest.raises(ModelFilesError, match=sha256(WEIGHTS)):
        store.verify(card)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", json.dumps({"source": {}, "files": {}})])
def test_a_broken_manifest_counts_as_missing_and_is_repaired(store: ModelStore, content: str) -> None:
    card = card_of(GOOD)
    folder = store.pull(card)
    assert folder is not None
    (folder / ".manifest.json").write_text(content)
    assert store.state(card) is State.MISSING
    store.pull(card)
    assert store.state(card) is State.READY


@pytest.mark.usefixtures("shelf")
def test_files_of_a_source_that_the_catalogue_no_longer_names_count_as_missing(store: ModelStore, local: Path) -> None:
    store.pull(card_of(folder_source(local)))
    assert store.state(card_of(GOOD)) is State.MISSING


def test_a_damaged_file_of_a_local_folder_is_an_error(store: ModelStore, local: Path) -> None:
    (local / "weights.bin").write_bytes(b"other")
    with pytest.raises(ModelFilesError, match=rf"weights.bin: expected sha256 {sha256(WEIGHTS)}"):
        store.pull(card_of(folder_source(local)))


@pytest.mark.usefixtures("shelf")
def test_a_removed_model_is_missing(store: ModelStore) -> None:
    card = card_of(GOOD)
    store.pull(card)
    store.remove(card)
    store.remove(card)
    assert store.state(card) is State.MISSING


@pytest.mark.usefixtures("shelf")
def test_a_cache_that_was_copied_elsewhere_is_ready(store: ModelStore, tmp_path: Path) -> None:
    store.pull(card_of(GOOD))
    shutil.copytree(store.cache, tmp_path / "copy")
    copy = ModelStore(tmp_path / "copy")
    copy.verify(card_of(GOOD))
    assert copy.folder(card_of(GOOD)) == tmp_path / "copy" / "toys--bear"
