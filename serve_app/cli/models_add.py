"""`qdrant-inference models add`: from a folder or a repository of the model hub to an entry of a catalogue."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from deployments.catalogue import entry
from deployments.catalogue.card import File, FolderSource, HubSource, ModelCard
from deployments.catalogue.families import Checkpoint
from deployments.errors import ModelError
from deployments.files import hub
from deployments.files.sources import fetch
from deployments.files.store import ModelStore, cache_folder
from deployments.onboarding.inspection.inspect import inspect
from deployments.onboarding.inspection.repository import Repository
from serve_app.cli.files import STARTER, own_catalogue
from serve_app.cli.models import pull_models
from serve_app.cli.terminal import console, interruptible

_READ = re.compile(
    r"README\.md|artifact\.metadata|model\.safetensors\.index\.json|(tokenizer|modules)\.json|(\d+_\w+/)?config\.json"
    r"|(tokenizer_config|sentence_bert_config|config_sentence_transformers|preprocessor_config)\.json"
)
"""The files of a repository that tell what its model is."""


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
        cards = _of_folder(folder, name, family) if folder.is_dir() else _of_hub(what, revision, name, family)
        entry.expect_new(cards, path)
        cards = _checked(cards)
        entry.append(cards, path, STARTER)
        _tell(cards, path)


def _of_folder(folder: Path, name: str | None, kind: Checkpoint | None) -> Sequence[ModelCard]:
    paths = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def source(files: Mapping[str, File]) -> FolderSource:
        for wanted, file in files.items():
            if file.path:
                raise ModelError(f"{folder}: copy {file.path} to {wanted}: the model is loaded from there")
        return FolderSource(folder=folder, files=dict(files))

    return inspect(Repository(folder, paths), name or folder.name, str(folder), source, kind)


def _of_hub(repository: str, revision: str, name: str | None, kind: Checkpoint | None) -> Sequence[ModelCard]:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ModelError(f"'{repository}' is neither a folder here nor the name of a repository (ORGANIZATION/NAME)")
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
        return inspect(Repository(target, paths), name or repository, card, source, kind)


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
                console.print(f"  [green]right[/]  {escape(line)}", soft_wrap=True)
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
    console.print(f"to serve {them}, put this into the Serve config file, and restart:", style="bold")
    console.print(f"    args:\n      catalogue: {path}", markup=False, soft_wrap=True)
    console.print("    deployments:", markup=False)
    for card in cards:
        lines = f"      - name: {card.deployment}\n        ray_actor_options: {{num_cpus: 0.1}}"
        console.print(lines, markup=False, soft_wrap=True)
