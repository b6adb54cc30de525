"""`qdrant-inference models add`: from a folder or a repository of the model hub to an entry of a catalogue."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape

from deployments.catalogue import entry
from deployments.catalogue.card import File, FolderSource, HubSource, ModelCard
from deployments.catalogue.families import Checkpoint
from deployments.errors import ModelError, SetupError
from deployments.files import hub
from deployments.files.sources import fetch
from deployments.files.store import ModelStore, cache_folder
from deployments.onboarding.inspection.inspect import MakeSource, inspect
from deployments.onboarding.inspection.repository import CONFIG, Repository
from deployments.onboarding.inspection.sentence_transformers import told_window
from serve_app.cli.files import STARTER, own_catalogue
from serve_app.cli.models import pull_models
from serve_app.cli.terminal import console, interruptible

_READ = re.compile(
    r"README\.md|artifact\.metadata|model\.safetensors\.index\.json|(tokenizer|modules|idf)\.json|(\w+/)?config\.json"
    r"|(tokenizer_config|sentence_bert_config|config_sentence_transformers|preprocessor_config)\.json"
)
"""The files of a repository that tell what its model is."""

_GUESS = (
    "the window of {} tokens is a guess: no file says how long the texts were that the model was trained on, and this "
    "is what it has positions for; if its card says less, change context_window in the entry"
)


def add(
    what: Annotated[str, typer.Argument(help="a folder with a checkpoint, or ORGANIZATION/NAME on the model hub")],
    name: Annotated[
        str | None, typer.Option(help="what to call the model; default: the name of the folder or repository")
    ] = None,
    catalogue_file: Annotated[
        Path | None,
        typer.Option(
            "--catalogue", help="the file that gets the entry; default: own.yaml in your configuration folder"
        ),
    ] = None,
    family: Annotated[Checkpoint | None, typer.Option(help="what the model is, if its files do not tell")] = None,
    revision: Annotated[str, typer.Option(help="a commit, tag or branch of the repository")] = "main",
) -> None:
    """Add a model of your own to a catalogue: inspect its files, check that it works here, write its entry."""
    with interruptible():
        path, folder = (catalogue_file or own_catalogue()).resolve(), Path(what).expanduser().resolve()
        with _named(str(folder) if folder.is_dir() else what):
            found = _of_folder(folder, name, family) if folder.is_dir() else _of_hub(what, revision, name, family)
        entry.expect_new(found.cards, path)
        cards = _checked(found.cards)
        entry.append(cards, path, STARTER)
        _tell(cards, path)
        if found.window_is_a_guess:
            console.print(_GUESS.format(cards[0].context_window), style="yellow", soft_wrap=True)


class _Found(NamedTuple):
    """The models of a folder or repository; whether their window is only what they have positions for."""

    cards: Sequence[ModelCard]
    window_is_a_guess: bool


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Have errors say of which folder or repository they are."""
    try:
        yield
    except SetupError as error:
        raise type(error)(f"{what}: {error}", error.hint) from error


def _found(files: Repository, name: str, card_url: str, source: MakeSource, kind: Checkpoint | None) -> _Found:
    cards = inspect(files, name, card_url, source, kind)
    reads = [card for card in cards if card.context_window and card.family != "clip-text"]
    return _Found(cards, bool(reads) and told_window(files) is None)


def _of_folder(folder: Path, name: str | None, kind: Checkpoint | None) -> _Found:
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


def _of_hub(repository: str, revision: str, name: str | None, kind: Checkpoint | None) -> _Found:
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


def _checked(cards: Sequence[ModelCard]) -> Sequence[ModelCard]:
    """The cards with the sha256 of their files, after each model has shown that it works; else nothing is kept."""
    from deployments.families.loading import load_family  # noqa: PLC0415  brings onnxruntime, which takes long to import
    from deployments.networks.settings import SessionSettings  # noqa: PLC0415
    from deployments.onboarding.self_check import self_check  # noqa: PLC0415

    store = ModelStore(cache_folder())
    pull_models(cards)
    try:
        for card in cards:
            console.print(f"checking {card.name}")
            family = load_family(card, store.folder(card), SessionSettings(precision="float32"))
            for line in self_check(family, card):
                console.print(f"  [green]ok[/]  {escape(line)}", soft_wrap=True)
    except BaseException:
        for card in cards:
            store.remove(card)
        raise
    return [store.pin(card) for card in cards]


def _tell(cards: Sequence[ModelCard], path: Path) -> None:
    """Show the entry, and what is left to do."""
    console.print(f"written to {path}:", style="bold", soft_wrap=True)
    console.print(entry.as_yaml(cards), markup=False, soft_wrap=True)
    them = "it" if len(cards) == 1 else "them"
    console.print(f"to try {them}:", style="bold")
    console.print(f"    qdrant-inference up --catalogue {shlex.quote(str(path))}", markup=False, soft_wrap=True)
    console.print(f"to serve {them} for good, put this into the Serve config file, and restart:", style="bold")
    console.print(f"    args:\n      catalogue: {path}", markup=False, soft_wrap=True)
    console.print("    deployments:", markup=False)
    for card in cards:
        lines = f"      - name: {card.deployment}\n        ray_actor_options: {{num_cpus: 0.1}}"
        console.print(lines, markup=False, soft_wrap=True)
