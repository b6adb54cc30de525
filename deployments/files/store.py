"""The model store: every model's files in one cache folder, checked against sha256.

    <cache>/<model>/.manifest.json    written last: where the files came from, the size and sha256 of each
    <cache>/<model>/...               the files; those of a local folder stay in that folder instead
    <cache>/.<model>.lock             held by the process that changes the model's folder
    <cache>/.<model>.partial/         a pull that is under way, or was broken off

A model's folder appears in one step, complete, so that no reader ever sees half of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

from filelock import FileLock
from pydantic import ValidationError

from deployments.catalogue.card import File, FolderSource, ModelCard, Sha256, Source
from deployments.catalogue.records import Record
from deployments.errors import ModelFilesError, reason
from deployments.files import hub
from deployments.files.downloads import Report
from deployments.files.sources import CHUNK, describe, fetch, inside

_MANIFEST = ".manifest.json"
_PULL = "run 'qdrant-inference models pull'"


class State(Enum):
    """What a look at names and sizes says of a model's files."""

    READY = "ready"
    MISSING = "missing"
    DAMAGED = "damaged"


class Progress(Protocol):
    """Is told how far a pull is; called often, also from another thread.

    `phase` is "waiting" (for another process's pull), "checking", "downloading" or "unpacking"; `done` and `total`
    are bytes, `total` None if it is not known.
    """

    def __call__(self, model: str, phase: str, done: int, total: int | None, /) -> None:
        """Take one look at the pull."""


def _nobody(model: str, phase: str, done: int, total: int | None) -> None:
    """The progress of a pull that nobody watches."""


class _Stored(Record):
    """One file as it was when it was pulled; `size` in bytes."""

    size: int
    sha256: Sha256


class _Manifest(Record):
    source: Source
    files: dict[str, _Stored]


def cache_folder() -> Path:
    """The cache: `QDRANT_INFERENCE_CACHE`, or `~/.cache/qdrant-inference`."""
    return Path(os.environ.get("QDRANT_INFERENCE_CACHE") or "~/.cache/qdrant-inference").expanduser()


class ModelStore:
    """The models' files under one cache folder, which several processes may share."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    def state(self, card: ModelCard) -> State:
        """Whether the model's files are there, in their sizes. Reads none of them; `verify` does."""
        if not card.sources:
            return State.READY
        manifest = self._manifest(card)
        if manifest is None:
            return State.MISSING
        folder = self._root(card, manifest.source)
        sound = all(_size(folder / name) == stored.size for name, stored in manifest.files.items())
        return State.READY if sound else State.DAMAGED

    def size(self, card: ModelCard) -> int | None:
        """The bytes of the model's files; None if it has none, or none that were pulled."""
        manifest = self._manifest(card)
        return sum(stored.size for stored in manifest.files.values()) if manifest else None

    def source(self, card: ModelCard) -> Source | None:
        """Which of its sources the model's files came from; None as for `size`."""
        manifest = self._manifest(card)
        return manifest.source if manifest else None

    def folder(self, card: ModelCard) -> Path | None:
        """The folder with the model's files; None for a model that has no files.

        Raises:
            ModelFilesError: a file is missing or has another size than it was pulled with.
        """
        state = self.state(card)
        if state is not State.READY:
            raise ModelFilesError(f"{card.name}: its files in {self.cache} are {state.value}; {_PULL}")
        manifest = self._manifest(card)
        return self._root(card, manifest.source) if manifest else None

    def pull(self, card: ModelCard, progress: Progress = _nobody) -> Path | None:
        """Make the model's files ready and right to the last byte, and return their folder (None: it has none).

        What is there already is read and checked (0.15 s for 90 MB); what is damaged is fetched again. A quick start
        asks `state` first and pulls only what is not ready.

        Raises:
            ModelFilesError: no source could give the files; names each source with its reason.
        """
        if not card.sources:
            return None

        report = partial(progress, card.name)
        report("waiting", 0, None)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            with self._lock(card):
                if self._damage(card, report) is not None:
                    self._fetch_anew(card, report)
        except OSError as error:
            raise ModelFilesError(f"{card.name}: cannot write to the cache, {self.cache}: {reason(error)}") from error
        return self.folder(card)

    def verify(self, card: ModelCard, progress: Progress = _nobody) -> None:
        """Read all of the model's files and compare their sha256.

        Raises:
            ModelFilesError: names the file, the sha256 expected and the one found.
        """
        damage = self._damage(card, partial(progress, card.name))
        if damage is not None:
            raise ModelFilesError(f"{card.name}: {damage}; {_PULL}")

    def check(self, card: ModelCard, folder: Path) -> None:
        """As `verify`, if `folder` is the one that the model's files were pulled to; of others nothing is known.

        Raises:
            ModelFilesError: as for `verify`.
        """
        manifest = self._manifest(card)
        if manifest is not None and self._root(card, manifest.source) == folder:
            self.verify(card)

    def remove(self, card: ModelCard) -> None:
        """Delete the model's files from the cache; a local folder that they were used from stays as it is."""
        if self._home(card).exists():
            with self._lock(card):
                shutil.rmtree(self._home(card), ignore_errors=True)

    def pin(self, card: ModelCard) -> ModelCard:
        """The card of a model that was pulled, with just the source that its files came from, and their sha256."""
        manifest = self._manifest(card)
        if manifest is None:
            return card
        files = {
            name: file.model_copy(update={"sha256": manifest.files[name].sha256})
            for name, file in manifest.source.files.items()
        }
        source = manifest.source.model_copy(update={"files": files})
        if source == manifest.source:  # pinned already: nothing to write, in a cache that may be for reading only
            return card.model_copy(update={"sources": (source,)})
        with self._lock(card):
            pinned = manifest.model_copy(update={"source": source})
            (self._home(card) / _MANIFEST).write_text(pinned.model_dump_json(indent=2))
        return card.model_copy(update={"sources": (source,)})

    def _home(self, card: ModelCard) -> Path:
        return self.cache / _key(card)

    def _root(self, card: ModelCard, source: Source) -> Path:
        return source.folder if isinstance(source, FolderSource) else self._home(card)

    def _lock(self, card: ModelCard) -> FileLock:
        return FileLock(self.cache / f".{_key(card)}.lock")

    def _manifest(self, card: ModelCard) -> _Manifest | None:
        """What was pulled; None if nothing was, or from a source that the catalogue no longer names."""
        try:
            manifest = _Manifest.model_validate_json((self._home(card) / _MANIFEST).read_bytes())
        except (OSError, ValidationError):
            return None
        return manifest if manifest.source in card.sources else None

    def _damage(self, card: ModelCard, report: Report) -> str | None:
        """What is wrong with the model's files, by their bytes; None if all is right."""
        if not card.sources:
            return None
        manifest = self._manifest(card)
        if manifest is None:
            return "its files are missing"
        expected = {name: File(sha256=stored.sha256) for name, stored in manifest.files.items()}
        try:
            _measure(self._root(card, manifest.source), expected, report)
        except ModelFilesError as error:
            return str(error)
        return None

    def _fetch_anew(self, card: ModelCard, report: Report) -> None:
        """Try the sources in their order. The lock is held, so what lies in the partial folder is a dead pull's."""
        workspace = self.cache / f".{_key(card)}.partial"
        reasons: dict[str, ModelFilesError] = {}
        for source in card.sources:
            shutil.rmtree(workspace, ignore_errors=True)
            try:
                self._fetch_from(source, card, workspace, report)
            except ModelFilesError as error:
                reasons[f"{describe(source)}: {error}"] = error
            else:
                return
            finally:
                shutil.rmtree(workspace, ignore_errors=True)
        advice = f". {hub.ADVICE}" if any(isinstance(error, hub.HubAway) for error in reasons.values()) else ""
        raise ModelFilesError(f"{card.name}: no source gave its files: {'; '.join(reasons)}{advice}")

    def _fetch_from(self, source: Source, card: ModelCard, workspace: Path, report: Report) -> None:
        target, scratch = workspace / "model", workspace / "scratch"
        target.mkdir(parents=True)
        scratch.mkdir()
        folder = fetch(source, target, scratch, report)
        manifest = _Manifest(source=source, files=_measure(folder, source.files, report))
        (target / _MANIFEST).write_text(manifest.model_dump_json(indent=2))
        shutil.rmtree(self._home(card), ignore_errors=True)
        target.replace(self._home(card))


def _key(card: ModelCard) -> str:
    """The name of a model's folder in the cache.

    The place of a local folder is part of it, so that two copies of a catalogue can share a cache.
    """
    folders = [str(source.folder) for source in card.sources if isinstance(source, FolderSource)]
    place = hashlib.sha256("\n".join(folders).encode()).hexdigest()[:8]
    return f"{card.deployment}@{place}" if folders else card.deployment


def _measure(folder: Path, files: dict[str, File], report: Report) -> dict[str, _Stored]:
    """The size and sha256 of each of a folder's files.

    Raises:
        ModelFilesError: a file is missing, or its sha256 is not the one that is asked for.
    """
    stored = {name: _hash(inside(folder, name), report) for name in files}
    for name, file in files.items():
        if file.sha256 not in {None, stored[name].sha256}:
            raise ModelFilesError(f"{name}: expected sha256 {file.sha256}, found {stored[name].sha256}")
    return stored


def _hash(path: Path, report: Report) -> _Stored:
    digest = hashlib.sha256()
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                report("checking", file.tell(), total)
    except OSError as error:
        raise ModelFilesError(f"{path.name}: {error.strerror}") from error
    return _Stored(size=total, sha256=digest.hexdigest())


def _size(path: Path) -> int | None:
    """A file's bytes; None if there is no such file."""
    return path.stat().st_size if path.is_file() else None
