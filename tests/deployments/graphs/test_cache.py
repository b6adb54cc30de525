from __future__ import annotations

import errno
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from deployments.architectures.checkpoint import Checkpoint
from deployments.errors import ModelError
from deployments.graphs import cache as graph_cache
from deployments.graphs import heads
from deployments.graphs.cache import kept
from deployments.networks.session import open_session
from deployments.networks.settings import SessionSettings
from tests.support import tiny

INPUTS = {"input_ids": np.array([[3, 1, 4], [1, 5, 0]], np.int32), "lengths": np.array([3, 2], np.int32)}


class Builder:
    """Builds encoders, and counts how often."""

    def __init__(self) -> None:
        self.builds = 0

    def encoder(self, checkpoint: Checkpoint, weights: npt.DTypeLike, external: BinaryIO | None = None) -> bytes:
        self.builds += 1
        return heads.encoder(checkpoint, weights, external=external)


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(graph_cache, "_WORTH_KEEPING", 0)
    return tmp_path / "cache" / ".graphs"


def write(folder: Path, **changed: np.ndarray) -> Checkpoint:
    folder.mkdir(exist_ok=True)
    return Checkpoint(tiny.write(folder, tiny.bert_tensors() | changed))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return write(tmp_path / "model")


def run(model: bytes | Path) -> np.ndarray:
    (output,) = open_session(lambda _: model, SessionSettings(provider="cpu")).run(INPUTS)
    return output


def test_a_graph_is_built_once_and_gives_the_same_from_the_cache(builder: Builder, checkpoint: Checkpoint) -> None:
    first, second = (kept(builder.encoder, checkpoint, np.float32) for _ in range(2))
    assert builder.builds == 1
    assert first == second
    assert (run(second) == run(heads.encoder(checkpoint, np.float32))).all()


def test_other_weights_are_another_graph(builder: Builder, checkpoint: Checkpoint, tmp_path: Path) -> None:
    one = kept(builder.encoder, checkpoint, np.float32)
    bias = "encoder.layer.0.output.dense.bias"
    other = kept(builder.encoder, write(tmp_path / "model", **{bias: np.ones(tiny.HIDDEN, np.float32)}), np.float32)
    assert one != other
    assert (run(one) != run(other)).any()


def test_the_same_files_elsewhere_are_the_same_graph(builder: Builder, checkpoint: Checkpoint, tmp_path: Path) -> None:
    assert kept(builder.encoder, checkpoint, np.float32) == kept(builder.encoder, write(tmp_path / "copy"), np.float32)


def test_another_type_of_weights_is_another_graph(builder: Builder, checkpoint: Checkpoint) -> None:
    assert kept(builder.encoder, checkpoint, np.float32) != kept(builder.encoder, checkpoint, np.float16)


def test_new_code_builds_anew(
    builder: Builder, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(builder.encoder, checkpoint, np.float32)
    (tmp_path / "bert.py").write_text("# the next release")
    monkeypatch.setattr(graph_cache, "_BUILDERS", (tmp_path,))
    kept(builder.encoder, checkpoint, np.float32)
    assert builder.builds == 2


@pytest.mark.parametrize("name", ["model.onnx", "weights", "sha256"])
def test_a_damaged_entry_is_built_again(builder: Builder, checkpoint: Checkpoint, name: str) -> None:
    path = kept(builder.encoder, checkpoint, np.float32)
    assert isinstance(path, Path)
    damaged = path.parent / name
    damaged.write_bytes(bytes(damaged.stat().st_size))
    expected = run(heads.encoder(checkpoint, np.float32))
    assert (run(kept(builder.encoder, checkpoint, np.float32)) == expected).all()
    assert builder.builds == 2
    kept(builder.encoder, checkpoint, np.float32)
    assert builder.builds == 2


def test_those_that_nobody_used_for_the_longest_time_go(
    builder: Builder, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_KEPT", 2)
    bias = "encoder.layer.0.output.dense.bias"
    models = [write(tmp_path / str(n), **{bias: np.full(tiny.HIDDEN, n, np.float32)}) for n in range(3)]
    for age, model in ((3, models[0]), (2, models[1])):
        path = kept(builder.encoder, model, np.float32)
        assert isinstance(path, Path)
        os.utime(path.parent, (age, age))
    kept(builder.encoder, models[0], np.float32)
    kept(builder.encoder, models[2], np.float32)
    assert len(list(cache.iterdir())) == 2
    kept(builder.encoder, models[0], np.float32)
    assert builder.builds == 3


def test_without_a_place_for_it_a_graph_is_built_each_time(
    builder: Builder, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "file"))
    assert isinstance(kept(builder.encoder, checkpoint, np.float32), bytes)
    assert isinstance(kept(builder.encoder, checkpoint, np.float32), bytes)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_an_entry_of_a_cache_that_is_only_for_reading_is_whole(
    builder: Builder, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = kept(builder.encoder, checkpoint, np.float32)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(graph_cache.os, "utime", refuse)
    assert kept(builder.encoder, checkpoint, np.float32) == path
    assert builder.builds == 1


def test_an_entry_that_goes_while_it_is_looked_at_is_built_again(
    builder: Builder, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(builder.encoder, checkpoint, np.float32)
    monkeypatch.setattr(graph_cache.os, "utime", lambda entry: shutil.rmtree(entry) or Path(entry).stat())
    assert kept(builder.encoder, checkpoint, np.float32)
    assert builder.builds == 2


def test_the_graphs_may_stand_elsewhere_than_the_models_files(
    builder: Builder, checkpoint: Checkpoint, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_INFERENCE_GRAPHS", str(tmp_path / "graphs"))
    path = kept(builder.encoder, checkpoint, np.float32)
    assert isinstance(path, Path)
    assert path.parent.parent == tmp_path / "graphs"
    assert not cache.exists()


def test_all_graphs_of_a_model_are_forgotten_and_no_other(
    builder: Builder, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    bias = "encoder.layer.0.output.dense.bias"
    other = kept(builder.encoder, write(tmp_path / "other", **{bias: np.ones(tiny.HIDDEN, np.float32)}), np.float32)
    gone = [kept(builder.encoder, checkpoint, weights) for weights in (np.float32, np.float16)]
    graph_cache.forget(checkpoint.folder)
    assert isinstance(other, Path)
    assert other.exists()
    assert not any(path.exists() for path in gone if isinstance(path, Path))


def test_a_small_graph_is_not_worth_a_place(
    builder: Builder, checkpoint: Checkpoint, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_WORTH_KEEPING", 1 << 20)
    assert isinstance(kept(builder.encoder, checkpoint, np.float32), bytes)
    assert not cache.exists()


def test_the_weights_of_a_graph_that_is_kept_never_lie_in_memory_all_at_once(
    tmp_path: Path, builder: Builder, cache: Path
) -> None:
    wide = 200_000
    tensors = {f"encoder.layer.{n}.intermediate.dense.weight": np.ones((wide, tiny.HIDDEN), np.float32) for n in (0, 1)}
    tensors |= {f"encoder.layer.{n}.intermediate.dense.bias": np.ones(wide, np.float32) for n in (0, 1)}
    tensors |= {f"encoder.layer.{n}.output.dense.weight": np.ones((tiny.HIDDEN, wide), np.float32) for n in (0, 1)}
    checkpoint = write(tmp_path / "model", **tensors)
    size = sum(tensor.nbytes for tensor in tensors.values())
    tracemalloc.start()
    kept(builder.encoder, checkpoint, np.float32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (weights,) = cache.glob("*/weights")
    assert weights.stat().st_size > size
    assert peak < 0.75 * size


def test_a_graph_of_more_than_2_gib_says_that_it_needs_a_place(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: onnx.ModelProto) -> bytes:
        raise ValueError("Failed to serialize proto")

    (tmp_path / "file").touch()
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(onnx.ModelProto, "SerializeToString", refuse)
    with pytest.raises(ModelError, match="a graph of more than 2 GiB needs a place for its weights"):
        kept(heads.encoder, checkpoint, np.float32)
