"""From a folder or a repository of the model hub to cards of models, checked to work here."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deployments.catalogue.card import File, FolderSource, HubSource, ModelCard
from deployments.catalogue.families import Checkpoint
from deployments.errors import ModelError, SetupError
from deployments.files import hub
from deployments.files.sources import fetch
from deployments.files.store import ModelStore, State
from deployments.onboarding.inspection.inspect import MakeSource, inspect
from deployments.onboarding.inspection.repository import CONFIG, Repository
from deployments.onboarding.inspection.sentence_transformers import told_window

_READ = re.compile(
    r"README\.md|artifact\.metadata|model\.safetensors\.index\.json|(tokenizer|modules|idf)\.json|(\w+/)?config\.json"
    r"|(tokenizer_config|sentence_bert_config|config_sentence_transformers|preprocessor_config)\.json"
)
"""The files of a repository that tell what its model is."""


class Found(NamedTuple):
    """The models of a folder or repository; whether their window is only what they have positions for."""

    cards: Sequence[ModelCard]
    window_is_a_guess: bool


@contextmanager
def named(what: str) -> Iterator[None]:
    """Have errors say of which folder or repository they are."""
    try:
        yield
    except SetupError as error:
        raise type(error)(f"{what}: {error}", error.hint) from error


def of_folder(folder: Path, name: str | None, kind: Checkpoint | None) -> Found:
    """The models in a folder, by its name or another one.

    Raises:
        ModelError: says what is missing, or what cannot be run.
    """
    paths = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    inner = sorted(path for path in paths if path.endswith(f"/{CONFIG}") and path.count("/") == 1)
    if CONFIG not in paths and inner:
        raise ModelError(f"there is no {CONFIG}", f"did you mean {folder / inner[-1].removesuffix(CONFIG)}?")

    def source(files: Mapping[str, File]) -> FolderSource:
        for wanted, file in files.items():
            if file.path:
                raise ModelError(f"copy {file.path} to {wanted}: the model is loaded from there")
        return FolderSource(folder=folder, files=dict(files))

    return _found(Repository(folder, paths), name or folder.name, str(folder), source, kind)


def of_hub(repository: str, revision: str, name: str | None, kind: Checkpoint | None) -> Found:
    """The models of a repository at a revision, of which only the files that tell what they are are fetched.

    Raises:
        ModelError, ModelFilesError: says what is missing, cannot be run or cannot be fetched.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ModelError("this is neither a folder here nor the name of a repository (ORGANIZATION/NAME)")
    commit, paths = hub.list_files(repository, revision)

    def source(files: Mapping[str, File]) -> HubSource:
        return HubSource(hub=repository, revision=commit, files=dict(files))

    with tempfile.TemporaryDirectory() as scratch:
        target, unfinished = Path(scratch, "files"), Path(scratch, "unfinished")
        target.mkdir()
        unfinished.mkdir()
        wanted = source({path: File() for path in sorted(paths) if _READ.fullmatch(path)})
        fetch(wanted, target, unfinished, lambda *_: None)
        card = f"https://huggingface.co/{repository}"
        return _found(Repository(target, paths), name or repository, card, source, kind)


def _found(files: Repository, name: str, card_url: str, source: MakeSource, kind: Checkpoint | None) -> Found:
    cards = inspect(files, name, card_url, source, kind)
    reads = [card for card in cards if card.context_window and card.spec.checkpoint not in {"clip", "text-image"}]
    return Found(cards, bool(reads) and told_window(files) is None)


def checked(
    cards: Sequence[ModelCard],
    store: ModelStore,
    pull: Callable[[Sequence[ModelCard]], object],
    tell: Callable[[ModelCard, str], object],
) -> Sequence[ModelCard]:
    """The cards with the sha256 of their files, after each model has shown that it works; else no files are kept.

    `pull` fetches their files, `tell` hears of each check: an empty line when it begins.

    Raises:
        SetupError: a model could not be fetched, or failed a check.
    """
    from deployments.families.loading import load_family  # noqa: PLC0415  brings onnxruntime, which takes long to import
    from deployments.networks.settings import SessionSettings  # noqa: PLC0415
    from deployments.onboarding.self_check import self_check  # noqa: PLC0415

    came = [card for card in cards if store.state(card) is not State.READY]
    pull(cards)
    try:
        for card in cards:
            tell(card, "")
            family = load_family(card, store.folder(card), SessionSettings(precision="float32"))
            for line in self_check(family, card):
                tell(card, line)
    except BaseException:
        for card in came:
            store.remove(card)
        raise
    return [store.pin(card) for card in cards]
