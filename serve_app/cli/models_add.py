"""`qdrant-inference models add`: from a folder or a repository of the model hub to an entry of a catalogue."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from deployments.catalogue import entry
from deployments.catalogue.card import ModelCard
from deployments.catalogue.families import Checkpoint
from deployments.errors import ConfigError
from deployments.files.store import ModelStore, cache_folder
from deployments.onboarding import adding
from serve_app.cli.files import STARTER, own_catalogue
from serve_app.cli.models import pull_models
from serve_app.cli.remote import RemoteService
from serve_app.cli.terminal import console, interruptible

_GUESS = (
    "the window of {} tokens is a guess: no file says how long the texts were that the model was trained on, and this "
    "is what it has positions for; if its card says less, change context_window in the entry"
)


def add(  # noqa: PLR0913, PLR0917  typer makes an option of each
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
    url: Annotated[
        str | None,
        typer.Option(help="a running service that adds it, in place of a catalogue; shown QDRANT_INFERENCE_ADMIN_KEY"),
    ] = None,
) -> None:
    """Add a model of your own: to a catalogue, after a check here, or to a service that runs."""
    with interruptible():
        if url and catalogue_file:
            raise ConfigError("--url and --catalogue: a model is added to one of them at a time")
        if url:
            _add_to_running(RemoteService(url), what, name, family, revision)
            return
        path, folder = (catalogue_file or own_catalogue()).resolve(), Path(what).expanduser().resolve()
        with adding.named(str(folder) if folder.is_dir() else what):
            found = (
                adding.of_folder(folder, name, family)
                if folder.is_dir()
                else adding.of_hub(what, revision, name, family)
            )
        entry.expect_new(found.cards, path)
        cards = _checked(found.cards)
        entry.append(cards, path, STARTER)
        _tell(cards, path)
        if found.window_is_a_guess:
            console.print(_GUESS.format(cards[0].context_window), style="yellow", soft_wrap=True)


def _add_to_running(
    service: RemoteService, what: str, name: str | None, family: Checkpoint | None, revision: str
) -> None:
    for wanted in _wanted(what, name, family, revision):
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console) as bars:
            task = bars.add_task(what, total=None)

            def watch(addition: Mapping[str, Any], bars: Progress = bars, task: TaskID = task) -> None:
                said = " ".join(filter(None, (addition["state"], escape(addition["detail"]))))
                bars.update(task, description=said, completed=addition["done"], total=addition["total"])

            added = service.add(wanted, watch)
        console.print(f"[green]ready[/]  {escape(', '.join(added['models']))}", soft_wrap=True)


def _wanted(what: str, name: str | None, family: Checkpoint | None, revision: str) -> list[dict[str, Any]]:
    """What to send: of a folder, which the service has to see under the same path, the entries."""
    folder = Path(what).expanduser().resolve()
    if folder.is_dir():
        with adding.named(str(folder)):
            cards = adding.of_folder(folder, name, family).cards
        return [{"entry": card.model_dump(mode="json", exclude_defaults=True)} for card in cards]
    given = {"hub": what, "revision": revision, "name": name, "family": family}
    return [{key: value for key, value in given.items() if value is not None}]


def _checked(cards: Sequence[ModelCard]) -> Sequence[ModelCard]:
    def tell(card: ModelCard, line: str) -> None:
        console.print(f"  [green]ok[/]  {escape(line)}" if line else f"checking {card.name}", soft_wrap=True)

    return adding.checked(cards, ModelStore(cache_folder()), pull_models, tell)


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
