"""The model hub as a source: the real library, and a hub of our own on this machine."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.catalogue.card import HubSource, ModelCard
from deployments.catalogue.catalogue import HOME
from deployments.errors import ModelFilesError
from deployments.files.hub import ADVICE, HubAway, bring, list_files
from deployments.files.store import ModelStore, State
from tests.support import fake_hub
from tests.support.fake_hub import COMMIT, FakeHub

SECRET = "hf_do_not_tell"
WEIGHTS = bytes(range(256)) * 40_000
FILES = {"toys/bear": {"onnx/model.onnx": WEIGHTS, "config.json": b"{}"}}
SOURCE = HubSource.model_validate(
    {"hub": "toys/bear", "revision": "v2", "files": {"model.onnx": {"path": "onnx/model.onnx"}, "config.json": {}}}
)
NOT_HERE = HubSource.model_validate({"hub": "toys/bear", "files": {"model.safetensors": {}}})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub.running({repository: dict(files) for repository, files in FILES.items()}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", SECRET)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture
def download(tmp_path: Path) -> Callable[[HubSource], Path]:
    """Downloads a source into a folder."""

    def run(source: HubSource) -> Path:
        target, scratch = tmp_path / "target", tmp_path / "scratch"
        target.mkdir()
        scratch.mkdir()
        bring(source, target, scratch, lambda *_: None)
        return target

    return run


def card_of(*sources: HubSource) -> ModelCard:
    return ModelCard(
        name="toys/bear", family="sparse", context_window=8, licence="-", model_card_url="-", sources=sources
    )


@pytest.mark.usefixtures("hub")
def test_files_get_the_names_of_the_catalogue(download: Callable[[HubSource], Path]) -> None:
    target = download(SOURCE)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        "model.onnx": WEIGHTS,
        "config.json": b"{}",
    }


def test_the_revision_and_the_token_reach_the_hub(hub: FakeHub, download: Callable[[HubSource], Path]) -> None:
    download(SOURCE)
    asked = {(path, key) for _, path, key in hub.asked if "/resolve/" in path}
    assert asked == {(f"/toys/bear/resolve/v2/{path}", f"Bearer {SECRET}") for path in FILES["toys/bear"]}


def test_a_file_that_is_missing_is_noticed_before_any_is_downloaded(
    hub: FakeHub, download: Callable[[HubSource], Path]
) -> None:
    del hub.files["toys/bear"]["config.json"]
    with pytest.raises(ModelFilesError, match=r"the hub has no 'config\.json' there"):
        download(SOURCE)
    assert {method for method, path, _ in hub.asked if "/resolve/" in path} == {"HEAD"}


def test_a_repository_that_may_not_be_read_asks_for_a_token(
    hub: FakeHub, download: Callable[[HubSource], Path]
) -> None:
    hub.statuses["config.json"] = 403
    with pytest.raises(ModelFilesError, match="a token that may read it \\(HF_TOKEN\\)") as caught:
        download(SOURCE)
    assert not isinstance(caught.value, HubAway)


def test_a_hub_with_a_fault_of_its_own_is_quoted_with_its_status(
    hub: FakeHub, download: Callable[[HubSource], Path]
) -> None:
    hub.statuses["config.json"] = 500
    with pytest.raises(ModelFilesError, match=r"the hub answered 500 for 'config\.json'"):
        download(SOURCE)


@pytest.mark.usefixtures("hub")
def test_a_repository_is_listed_with_its_commit() -> None:
    assert list_files("toys/bear", "v2") == (COMMIT, frozenset(FILES["toys/bear"]))
    with pytest.raises(ModelFilesError, match="no such repository"):
        list_files("toys/lion", "main")
    with pytest.raises(ModelFilesError, match="no repositories with such names"):
        list_files("toys/be/ar", "main")


def test_a_download_that_breaks_off_leaves_nothing_and_the_next_one_is_whole(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    store, card = ModelStore(tmp_path), card_of(SOURCE)
    hub.broken.add("onnx/model.onnx")
    with pytest.raises(ModelFilesError, match="cannot be reached, or broke off"):
        store.pull(card)
    assert store.state(card) is State.MISSING
    assert [path.name for path in tmp_path.iterdir()] == [".toys--bear.lock"]
    hub.broken.clear()
    folder = store.pull(card)
    assert folder is not None
    assert (folder / "model.onnx").read_bytes() == WEIGHTS


@pytest.mark.usefixtures("hub")
def test_ctrl_c_during_a_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_source: HubSource, path: str, scratch: Path) -> str:
        (scratch / "half").write_bytes(WEIGHTS[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr("deployments.files.hub._download", interrupt)
    store, card = ModelStore(tmp_path), card_of(SOURCE)
    with pytest.raises(KeyboardInterrupt):
        store.pull(card)
    assert store.state(card) is State.MISSING
    assert [path.name for path in tmp_path.iterdir()] == [".toys--bear.lock"]


@pytest.mark.usefixtures("hub")
def test_the_next_source_is_tried_when_the_first_lacks_a_file(tmp_path: Path) -> None:
    store, card = ModelStore(tmp_path), card_of(NOT_HERE, SOURCE)
    store.pull(card)
    assert store.source(card) == SOURCE
    assert store.size(card) == len(WEIGHTS) + 2


@pytest.mark.usefixtures("hub")
def test_a_pinned_card_has_the_sha256_of_its_files_and_needs_no_second_pull(tmp_path: Path) -> None:
    store, card = ModelStore(tmp_path), card_of(NOT_HERE, SOURCE)
    store.pull(card)
    pinned = store.pin(card)
    (source,) = pinned.sources
    assert all(file.sha256 for file in source.files.values())
    assert source.files["model.onnx"].path == "onnx/model.onnx"
    assert store.state(pinned) is State.READY
    store.verify(pinned)


def test_when_the_hub_is_away_the_error_says_once_and_in_one_line_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with pytest.raises(ModelFilesError) as caught:
        ModelStore(tmp_path).pull(card_of(SOURCE, NOT_HERE))
    said = str(caught.value)
    assert said.count(ADVICE) == 1
    assert "\n" not in said
    assert SECRET not in said
    for wanted in ("HTTPS_PROXY", "HF_ENDPOINT", "copy the cache folder", "models verify"):
        assert wanted in ADVICE


def test_what_the_library_logs_is_not_passed_on(
    hub: FakeHub,
    download: Callable[[HubSource], Path],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hub.statuses["config.json"] = 500
    with caplog.at_level(logging.WARNING), pytest.raises(ModelFilesError):
        download(SOURCE)
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_without_the_hub_s_library_the_error_says_so(
    download: Callable[[HubSource], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelFilesError, match="huggingface_hub is not installed"):
        download(SOURCE)


CATALOGUE = """
models:
  - {name: toys/bear, family: sparse, context_window: 8, licence: none, model_card_url: none,
     sources: [{hub: toys/bear, files: {model.onnx: {path: onnx/model.onnx}, config.json: {}}}]}
"""


@pytest.mark.slow
def test_the_command_pulls_from_a_mirror_and_a_copy_of_its_cache_is_right_without_a_network(
    hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)

    def run(command: str, cache: str, endpoint: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "QDRANT_INFERENCE_CACHE": str(tmp_path / cache), "HF_ENDPOINT": endpoint}
        options = ["--catalogue", str(tmp_path / "catalogue.yaml")]
        return subprocess.run(
            [sys.executable, "-m", "serve_app", "models", command, *options],
            env=variables, cwd=HOME, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    pulled = run("pull", "one", hub.url)
    assert pulled.returncode == 0, pulled.stderr
    assert SECRET not in pulled.stdout + pulled.stderr
    (tmp_path / "one").rename(tmp_path / "two")
    assert run("verify", "two", "http://127.0.0.1:9").returncode == 0
    away = run("pull", "three", "http://127.0.0.1:9")
    assert away.returncode == 1
    assert away.stderr.count("\n") == 1
    assert ADVICE in away.stderr
