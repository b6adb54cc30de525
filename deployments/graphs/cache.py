"""Built graphs, kept because to open one takes a tenth of the time and half of the memory that it takes to build one.

    <graphs>/<key>/model.onnx    the graph
    <graphs>/<key>/weights       its weights, which a session maps into memory instead of reading them
    <graphs>/<key>/sha256        of both

The key is a hash of the model's files and one of all else that a graph is made of, such as the code that builds. An
entry appears in one step; a damaged one is built again; when there are too many, those go that were not used for the
longest time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from deployments.architectures import checkpoint as checkpoint_module
from deployments.architectures.checkpoint import Checkpoint
from deployments.files.store import cache_folder

_BUILDERS = (Path(__file__).parent, Path(checkpoint_module.__file__).parent)
_GRAPH, _WEIGHTS, _SUM = "model.onnx", "weights", "sha256"

_WORTH_KEEPING = 1 << 20
"""In bytes of a checkpoint; of a smaller one, the graph is built in milliseconds."""

_KEPT = 20
"""Entries; that of a model is about as large as its float32 weights."""


def kept(build: Callable[..., bytes], checkpoint: Checkpoint, *arguments: Any) -> bytes | Path:
    """What `build(checkpoint, *arguments)` makes: the file that holds it, or its bytes if nothing can be kept.

    If it is kept, the weights go from the checkpoint to their file one by one, and never lie in memory all at once.
    """
    key, make = _key(build, checkpoint, arguments), partial(build, checkpoint, *arguments)
    if sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors")) < _WORTH_KEEPING:
        return make()
    entry = _graphs() / key
    if not _is_whole(entry):
        try:
            _keep(make, entry)
        except OSError:  # a full disk, or one that is only for reading
            return make()
    return entry / _GRAPH


def forget(folder: Path) -> None:
    """Delete the graphs that were built from the files in a model's folder."""
    for entry in _graphs().glob(f"{_sum_of_model(folder)}-*"):
        shutil.rmtree(entry, ignore_errors=True)


def _graphs() -> Path:
    """`QDRANT_INFERENCE_GRAPHS`, for a cache that is only for reading; else in the cache."""
    folder = os.environ.get("QDRANT_INFERENCE_GRAPHS")
    return Path(folder).expanduser() if folder else cache_folder() / ".graphs"


def _key(build: Callable[..., bytes], checkpoint: Checkpoint, arguments: tuple[Any, ...]) -> str:
    """Of the arguments, what their `repr` says."""
    code = sorted(path for folder in _BUILDERS for path in folder.glob("*.py") if path.name != Path(__file__).name)
    about = f"{build.__module__} {build.__qualname__} {arguments!r} {onnx.__version__} {_sum(code)}"
    return f"{_sum_of_model(checkpoint.folder)}-{hashlib.sha256(about.encode()).hexdigest()[:32]}"


def _sum_of_model(folder: Path) -> str:
    return _sum([*folder.glob("config.json"), *sorted(folder.rglob("*.safetensors*"))])[:32]


def _is_whole(entry: Path) -> bool:
    try:
        whole = (entry / _SUM).read_text() == _sum([entry / _GRAPH, entry / _WEIGHTS])
        _mark_as_used(entry)
    except OSError:
        return False
    return whole


def _mark_as_used(entry: Path) -> None:
    """If a cache is only for reading, nothing is forgotten either, and whoever fills it does the marking."""
    try:
        os.utime(entry)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise


def _keep(build: Callable[..., bytes], entry: Path) -> None:
    """Write an entry, and in its place if it was damaged."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(dir=entry.parent))
    try:
        with (workspace / _WEIGHTS).open("wb") as weights:
            graph = build(external=weights)
        (workspace / _GRAPH).write_bytes(graph)
        (workspace / _SUM).write_text(_sum([workspace / _GRAPH, workspace / _WEIGHTS]))
        shutil.rmtree(entry, ignore_errors=True)
        workspace.replace(entry)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    _forget_the_oldest(entry.parent)


def _forget_the_oldest(folder: Path) -> None:
    """A session keeps what it has mapped, also when the entry is gone."""
    with suppress(OSError):  # another process may do the same
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)[:-_KEPT]:
            shutil.rmtree(entry, ignore_errors=True)


def _sum(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
