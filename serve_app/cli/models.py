"""The commands for models: `qdrant-inference models`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.filesize import decimal
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from deployments.catalogue import catalogue, entry, records
from deployments.catalogue.card import ModelCard
from deployments.errors import ModelFilesError, SetupError
from deployments.files.sources import describe
from deployments.files.store import ModelStore, State, cache_folder
from deployments.replica.settings import ReplicaSettings
from serve_app.cli import examples
from serve_app.cli.files import STARTER, existing
from serve_app.cli.remote import RemoteService
from serve_app.cli.terminal import console, interruptible
from serve_app.config import arguments
from serve_app.config.arguments import Arguments

models_app = typer.Typer(
    help="List, fetch, check, measure and add models.", no_args_is_help=True, rich_markup_mode="rich"
)

CatalogueFile = Annotated[Path, typer.Option("--catalogue", callback=existing, help="a model catalogue")]
Name = Annotated[str, typer.Argument(help="the name of a model")]
Names = Annotated[list[str] | None, typer.Argument(help="names of models; default: all of the catalogue")]
SomeNames = Annotated[list[str], typer.Argument(help="names of models")]


@models_app.command("list", epilog=examples.LIST)
def list_models(catalogue_file: CatalogueFile = STARTER) -> None:
    """Show the models of a catalogue, and whether their files are here."""
    with interruptible():
        table = _table(Column("model", no_wrap=True), "family", "dimensions", "window", "size", "files", "licence")
        for card in catalogue.load(catalogue_file.resolve()):
            numbers = _or_dash(card.dimensions), _or_dash(card.context_window)
            table.add_row(card.name, card.family, *numbers, _size(card), _state(card), card.licence)
        console.print(table)


@models_app.command(epilog=examples.SHOW)
def show(name: Name, catalogue_file: CatalogueFile = STARTER) -> None:
    """Show what the catalogue says of a model, and where its files are."""
    from deployments.onboarding import in_process  # noqa: PLC0415  brings onnxruntime, which takes long to import

    with interruptible():
        (card,) = _chosen([name], catalogue_file)
        console.print(entry.as_yaml([card]), markup=False, soft_wrap=True)
        store = ModelStore(cache_folder())
        rows = {
            "gives": _gives(card),
            "runs": f"{in_process.runs_as(card, ReplicaSettings().session())}, unless the Serve config says otherwise",
            "files": _state(card),
        }
        if source := store.source(card):
            folder = store.folder(card)
            rows |= {"size": _size(card), "from": describe(source), "folder": str(folder)}
            rows |= {"graph": in_process.graph_of(folder)} if folder else {}
        for key, value in rows.items():
            console.print(f"[bold]{key:<7}[/] {escape(value)}", soft_wrap=True)


@models_app.command(epilog=examples.PULL)
def pull(names: Names = None, catalogue_file: CatalogueFile = STARTER) -> None:
    """Fetch model files into the cache and check them; complete ones are not fetched again."""
    with interruptible():
        pull_models(_chosen(names, catalogue_file))


@models_app.command(epilog=examples.VERIFY)
def verify(
    names: Names = None,
    catalogue_file: CatalogueFile = STARTER,
    quick: Annotated[bool, typer.Option("--quick", help="compare sizes only")] = False,  # noqa: FBT002
) -> None:
    """Read all model files in the cache and compare their sha256."""
    wrong = 0
    with interruptible():
        store = ModelStore(cache_folder())
        for card in _chosen(names, catalogue_file):
            try:
                store.folder(card) if quick else store.verify(card)
            except SetupError as error:
                wrong += 1
                console.print(f"[red]wrong[/]  {escape(str(error))}", soft_wrap=True)
            else:
                console.print(f"[green]ok[/]     {card.name}")
    raise typer.Exit(1 if wrong else 0)


@models_app.command(epilog=examples.REMOVE)
def remove(
    names: SomeNames,
    catalogue_file: CatalogueFile = STARTER,
    url: Annotated[
        str | None,
        typer.Option(help="a running service to which they were added, and which has them no more then"),
    ] = None,
) -> None:
    """Delete model files from the cache, and what was built from them; the catalogue and local folders stay."""
    from deployments.graphs import cache  # noqa: PLC0415  as above, onnx

    with interruptible():
        if url:
            for name in names:
                gone = RemoteService(url).remove(name, files=True)
                console.print(f"removed  {escape(', '.join(gone['models']))}", soft_wrap=True)
            return
        store = ModelStore(cache_folder())
        for card in _chosen(names, catalogue_file):
            freed = _size(card)
            if store.state(card) is State.READY and (folder := store.folder(card)):
                cache.forget(folder)
            store.remove(card)
            console.print(f"removed  {card.name}  {freed}")


@models_app.command(epilog=examples.BENCH)
def bench(
    name: Name,
    catalogue_file: CatalogueFile = STARTER,
    seconds: Annotated[float, typer.Option(help="seconds to measure each length, about")] = 2.0,
    provider: Annotated[str, typer.Option(help="auto, cpu, openvino or cuda")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16")] = "auto",
) -> None:
    """Measure how fast a model is in a replica on this machine, with inputs of several lengths and of mixed ones."""
    from deployments.families.loading import load_family  # noqa: PLC0415
    from deployments.onboarding import benchmark, in_process  # noqa: PLC0415  as above

    with interruptible():
        (card,) = _chosen([name], catalogue_file)
        wanted = {"provider": provider, "precision": precision, "threads": os.cpu_count() or 1}
        settings = records.validated(ReplicaSettings, wanted, "--provider, --precision")
        family = load_family(card, ModelStore(cache_folder()).folder(card), settings.session())
        console.print(f"{card.name} {in_process.runs_as(card, settings.session())}, {os.cpu_count()} cores")
        inputs = _inputs_of(card)
        table = _table("tokens of each", f"{inputs}/s", "tokens/s", "one alone", justify="right")
        with Live(table, console=console, auto_refresh=False) as live:
            for result in benchmark.measure(family, card, seconds, settings):
                rates = f"{result.inputs_per_second:,.1f}", f"{result.tokens_per_second:,.0f}"
                fewest, most = result.tokens
                length = str(most) if fewest == most else f"mixed, {fewest} to {most}"
                table.add_row(length, *rates, f"{1000 * result.latency:.2f} ms")
                live.refresh()


def _inputs_of(card: ModelCard) -> str:
    return " and ".join(f"{one}s" for one in card.reads)


def _gives(card: ModelCard) -> str:
    kind = "scores" if card.vector_kind == "score" else f"{card.vector_kind} vectors"
    return f"{kind} of {_inputs_of(card)}"


def pull_missing(cards: Sequence[ModelCard]) -> None:
    """Fetch what is not there, or not right to the last byte; hashing takes a second for each gigabyte."""
    pull_models([card for card in cards if not _is_sound(card)])


def pull_models(cards: Sequence[ModelCard]) -> None:
    """Fetch the files of models, with a bar for each.

    Raises:
        ModelFilesError: names the first model whose files could not be fetched, and why.
    """
    store = ModelStore(cache_folder())
    columns = TextColumn("{task.fields[phase]:<12}{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, Any] = {}

        def report(model: str, phase: str, done: int, total: int | None) -> None:
            bars.update(tasks[model], phase=phase, completed=done, total=total)

        for card in cards:
            if card.sources:
                tasks[card.name] = bars.add_task(card.name, phase="", total=None)
                store.pull(card, report)
                size = store.size(card)
                bars.update(tasks[card.name], phase="ready", completed=size, total=size)


def _is_sound(card: ModelCard) -> bool:
    try:
        ModelStore(cache_folder()).verify(card)
    except ModelFilesError:
        return False
    return True


def _chosen(names: Sequence[str] | None, catalogue_file: Path) -> Sequence[ModelCard]:
    wanted = Arguments(catalogue=str(catalogue_file.resolve()), models=tuple(names) if names else None)
    return arguments.cards(wanted, str(catalogue_file))


def _table(*columns: Column | str, justify: Any = "left") -> Table:
    made = [Column(column, justify=justify) if isinstance(column, str) else column for column in columns]
    return Table(*made, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")


def _state(card: ModelCard) -> str:
    return ModelStore(cache_folder()).state(card).value if card.sources else "none needed"


def _size(card: ModelCard) -> str:
    size = ModelStore(cache_folder()).size(card)
    return "-" if size is None else decimal(size)


def _or_dash(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
