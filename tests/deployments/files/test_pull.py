"""The store pulls, from made-up wheels in a local folder; real pip, which takes a second, only where it matters."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from deployments.catalogue.card import ModelCard, WheelSource
from deployments.errors import ModelFilesError
from deployments.files.store import ModelStore, State
from tests.support.wheels import (
    GOOD,
    WEIGHTS,
    card_of,
    files_in,
    folder_source,
    sha256,
    wheel_source,
    write_wheel,
    zipped,
)


@pytest.mark.usefixtures("index")
def test_a_wheel_is_pulled_and_only_the_named_files_are_kept(store: ModelStore) -> None:
    card = card_of(GOOD)
    folder = store.pull(card)
    assert folder is not None
    assert files_in(folder) == {"weights.bin", "sub/config.json", ".manifest.json"}
    assert (folder / "weights.bin").read_bytes() == WEIGHTS
    assert (store.state(card), store.folder(card)) == (State.READY, folder)
    assert {path.name for path in store.cache.iterdir()} == {"toys--bear", ".toys--bear.lock"}
    store.verify(card)


def test_files_of_an_archive_inside_the_wheel_are_pulled(store: ModelStore, shelf: Path) -> None:
    write_wheel(shelf, {"toy/model.zip": zipped({"deep/weights.bin": WEIGHTS})})
    files = {"weights.bin": {"path": "deep/weights.bin", "sha256": sha256(WEIGHTS)}}
    folder = store.pull(card_of(wheel_source(files, archive="toy/model.zip")))
    assert folder is not None
    assert files_in(folder) == {"weights.bin", ".manifest.json"}


@pytest.mark.usefixtures("shelf")
def test_progress_tells_the_phases_and_never_more_bytes_than_there_are(store: ModelStore) -> None:
    seen: list[tuple[str, str, int, int | None]] = []
    store.pull(card_of(GOOD), lambda *step: seen.append(step))
    assert {model for model, *_ in seen} == {"toys/bear"}
    assert {"waiting", "unpacking", "checking"} <= {phase for _, phase, *_ in seen}
    assert all(total is None or done <= total for *_, done, total in seen)
    assert ("toys/bear", "unpacking", len(WEIGHTS), len(WEIGHTS)) in seen


def test_a_second_pull_only_checks(store: ModelStore, shelf: Path) -> None:
    card = card_of(GOOD)
    store.pull(card)
    shutil.rmtree(shelf)
    phases: set[str] = set()
    store.pull(card, lambda _model, phase, _done, _total: phases.add(phase))
    assert phases == {"waiting", "checking"}


@pytest.mark.usefixtures("shelf")
def test_a_wrong_sha256_is_an_error_and_leaves_nothing(store: ModelStore) -> None:
    card = card_of(wheel_source({"weights.bin": {"path": "toy/weights.bin", "sha256": "0" * 64}}))
    with pytest.raises(ModelFilesError) as caught:
        store.pull(card)
    assert f"weights.bin: expected sha256 {'0' * 64}, found {sha256(WEIGHTS)}" in str(caught.value)
    assert store.state(card) is State.MISSING
    assert {path.name for path in store.cache.iterdir()} == {".toys--bear.lock"}


@pytest.mark.usefixtures("shelf")
def test_a_file_that_the_wheel_lacks_is_an_error_that_names_it(store: ModelStore) -> None:
    with pytest.raises(ModelFilesError, match=r"wheel toy-model 1.0: there is no file 'toy/absent.bin' in it"):
        store.pull(card_of(wheel_source({"weights.bin": {"path": "toy/absent.bin"}})))


@pytest.mark.slow
def test_a_truncated_wheel_is_an_error_and_the_next_pull_repairs_it(store: ModelStore, index: Path) -> None:
    wheel = next(index.iterdir())
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFilesError, match=r"wheel toy-model 1.0: pip could not download it: .*toy.model"):
        store.pull(card_of(GOOD))
    wheel.write_bytes(whole)
    store.pull(card_of(GOOD))
    store.verify(card_of(GOOD))


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_inside_the_wheel_is_an_error(store: ModelStore, shelf: Path, damage: str) -> None:
    inner = bytearray(zipped({"weights.bin": WEIGHTS}))
    if damage == "cut":
        del inner[len(inner) // 2 :]
    else:
        inner[60:90] = bytes(30)
    write_wheel(shelf, {"toy/model.zip": bytes(inner)})
    with pytest.raises(ModelFilesError, match="the downloaded archive is damaged"):
        store.pull(card_of(wheel_source({"weights.bin": {}}, archive="toy/model.zip")))


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "sub/../../escaped"])
def test_a_file_name_that_leads_out_of_the_folder_is_refused(store: ModelStore, name: str) -> None:
    with pytest.raises(ModelFilesError, match="leads out of its folder"):
        store.pull(card_of(wheel_source({name: {"path": "toy/weights.bin"}})))
    assert not list(store.cache.parent.rglob("escaped"))


def test_members_with_hostile_names_are_not_unpacked(store: ModelStore, shelf: Path) -> None:
    write_wheel(shelf, {"../../escaped": b"x", "toy/weights.bin": WEIGHTS, "toy/config.json": b"{}"})
    store.pull(card_of(GOOD))
    assert not list(store.cache.parent.rglob("escaped"))


@pytest.mark.usefixtures("shelf")
def test_sources_are_tried_in_their_order(store: ModelStore, local: Path) -> None:
    absent = WheelSource.model_validate({"wheel": "no-such-toy", "version": "1.0", "files": {"weights.bin": {}}})
    assert store.pull(card_of(absent, folder_source(local), GOOD)) == local


@pytest.mark.usefixtures("index")
def test_when_no_source_works_the_error_names_each_with_its_reason(store: ModelStore, tmp_path: Path) -> None:
    absent = WheelSource.model_validate({"wheel": "no-such-toy", "version": "1.0", "files": {"weights.bin": {}}})
    with pytest.raises(ModelFilesError) as caught:
        store.pull(card_of(absent, folder_source(tmp_path / "nowhere")))
    assert "wheel no-such-toy 1.0: pip could not download it: No matching distribution" in str(caught.value)
    assert f"folder {tmp_path / 'nowhere'}: weights.bin: No such file" in str(caught.value)


def test_a_local_folder_is_used_in_place_and_not_written_to(store: ModelStore, local: Path) -> None:
    before = files_in(local)
    for path in (local, local / "sub"):
        path.chmod(0o555)
    card = card_of(folder_source(local))
    assert store.pull(card) == store.folder(card) == local
    assert files_in(local) == before
    (home,) = store.cache.glob("toys--bear@*")
    assert files_in(home) == {".manifest.json"}
    store.remove(card)
    assert files_in(local) == before


@pytest.mark.usefixtures("shelf")
def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFilesError, match="cannot write to the cache"):
        ModelStore(tmp_path / "file" / "cache").pull(card_of(GOOD))


def wait_for_each_other(barrier: Barrier) -> None:
    barrier.wait()


def pull_and_tell(cache: Path, card: ModelCard) -> bool:
    """Whether this process fetched anything."""
    phases: set[str] = set()
    ModelStore(cache).pull(card, lambda _model, phase, _done, _total: phases.add(phase))
    ModelStore(cache).verify(card)
    return "unpacking" in phases


@pytest.mark.slow
@pytest.mark.usefixtures("index")
def test_of_two_processes_that_pull_at_once_one_fetches_and_both_succeed(store: ModelStore) -> None:
    card = card_of(GOOD)
    context = multiprocessing.get_context("spawn")
    # Neither process takes its task before both have started.
    with context.Pool(2, initializer=wait_for_each_other, initargs=(context.Barrier(2),)) as pool:
        fetched = pool.starmap(pull_and_tell, [(store.cache, card)] * 2, chunksize=1)
    assert sorted(fetched) == [False, True]


def pull_and_die(cache: Path, card: ModelCard, phase_to_die_in: str) -> None:
    def die(_model: str, phase: str, _done: int, _total: int | None) -> None:
        if phase == phase_to_die_in:
            os._exit(9)

    ModelStore(cache).pull(card, die)


@pytest.mark.slow
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("phase", ["unpacking", "checking"])
def test_what_a_dead_pull_left_is_not_taken_for_good_and_is_cleared_away(store: ModelStore, phase: str) -> None:
    card = card_of(GOOD)
    process = multiprocessing.get_context("spawn").Process(target=pull_and_die, args=(store.cache, card, phase))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert (store.cache / ".toys--bear.partial").exists()
    assert store.state(card) is State.MISSING
    store.pull(card)
    store.verify(card)
    assert not (store.cache / ".toys--bear.partial").exists()


def test_two_copies_of_a_local_folder_share_a_cache_without_undoing_each_other(
    store: ModelStore, tmp_path: Path
) -> None:
    cards = []
    for copy in ("one", "two"):
        files = {"model.safetensors": copy.encode()}
        folder = tmp_path / copy
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(files["model.safetensors"])
        cards.append(card_of(folder_source(folder, files)))
        store.pull(cards[-1])
    assert [store.folder(card) for card in cards] == [tmp_path / "one", tmp_path / "two"]
