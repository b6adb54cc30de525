"""The command line: `qdrant-inference`."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from deployments import catalogue
from deployments.catalogue import HOME, ModelCard
from deployments.errors import ModelFilesError, SetupError
from deployments.model_store import ModelStore, cache_folder
from serve_app import arguments, environment
from serve_app.arguments import Arguments
from serve_app.ports import check_free
from serve_app.service import Service

app = typer.Typer(
    help="Self-hosted inference for Qdrant.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
models_app = typer.Typer(help="The models: list, fetch and check their files.", no_args_is_help=True)
app.add_typer(models_app, name="models")

console = Console(highlight=False)

_ADDRESS = "http://localhost:6333"

Config = Annotated[Path, typer.Option(help="a Serve config file")]
CatalogueFile = Annotated[Path, typer.Option("--catalogue", help="a model catalogue")]
Url = Annotated[
    str | None,
    typer.Option(help=f"a running service; without it {_ADDRESS}, and where none runs there, one is started"),
]
Folder = Annotated[Path | None, typer.Option(help="where the data lies; default: QDRANT_INFERENCE_DATA")]
Names = Annotated[list[str] | None, typer.Argument(help="names of models; all of the catalogue where absent")]

_LOCAL = HOME / "configs" / "serve-local.yaml"
_STARTER = HOME / "configs" / "models" / "starter.yaml"


@app.command()
def up(config: Config = _LOCAL) -> None:
    """Fetch what is missing, start the service, and run until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    ready = False
    with _reported_errors():
        try:
            with _running(config) as service:
                _introduce(service, time.monotonic() - began)
                ready = True
                threading.Event().wait()
        except KeyboardInterrupt:
            console.print("stopped; nothing is left running")
    raise typer.Exit(0 if ready else 130)


@app.command()
def demo(url: Url = None) -> None:
    """Fill two collections with texts and drawings, and search them."""
    from serve_app.demo import story  # noqa: PLC0415  its client takes long to import, and `up` has no use for it

    with _reported_errors():
        try:
            if url or story.answers(_ADDRESS):
                _interrupt_on_signals()
                story.tell(url or _ADDRESS, console)
            else:
                console.print(f"nothing answers at {_ADDRESS}: starting a service for the demo")
                with _running(_LOCAL) as service:
                    story.tell(service.rest_address, console)
                    console.print("stopping the service; its data stays on disk, and [bold]make run[/] brings it back")
        except KeyboardInterrupt:
            console.print("stopped; what was stored so far stays")
            raise typer.Exit(130) from None


@app.command()
def store(folder: Folder = None, host: str = "127.0.0.1", rest_port: int = 7333, grpc_port: int = 7334) -> None:
    """Serve the embedded store alone, without inference: a small Qdrant for tests and trials."""
    from serve_app.embedded import server  # noqa: PLC0415  as above

    with _reported_errors():
        check_free({"REST": (host, rest_port), "gRPC": (host, grpc_port)})
        place = folder or environment.read().data

        def ready() -> None:
            console.print(f"ready: REST http://{host}:{rest_port}, gRPC {host}:{grpc_port}, data {place}")

        asyncio.run(server.serve(place, host, rest_port, grpc_port, ready))


@models_app.command("list")
def list_models(catalogue_file: CatalogueFile = _STARTER) -> None:
    """Show the models of a catalogue, and whether their files are here."""
    with _reported_errors():
        store = ModelStore(cache_folder())
        table = Table(
            Column("model", overflow="fold"),
            "family",
            "dimensions",
            "window",
            "licence",
            "files",
            header_style="bold",
        )
        for card in catalogue.load(catalogue_file.absolute()):
            state = "none needed" if not card.sources else store.state(card).value
            numbers = _or_dash(card.dimensions), _or_dash(card.context_window)
            table.add_row(card.name, card.family, *numbers, card.licence, state)
        console.print(table)


@models_app.command()
def pull(names: Names = None, catalogue_file: CatalogueFile = _STARTER) -> None:
    """Fetch models' files into the cache and check them; what is whole is not fetched again."""
    with _reported_errors():
        _pull(_chosen(names, catalogue_file))


@models_app.command()
def verify(names: Names = None, catalogue_file: CatalogueFile = _STARTER) -> None:
    """Read all files of models in the cache and compare their sha256."""
    wrong = 0
    with _reported_errors():
        for card in _chosen(names, catalogue_file):
            try:
                ModelStore(cache_folder()).verify(card)
            except SetupError as error:
                wrong += 1
                console.print(f"[red]wrong[/]  {error}")
            else:
                console.print(f"[green]right[/]  {card.name}")
    raise typer.Exit(1 if wrong else 0)


@contextmanager
def _running(config: Path) -> Iterator[Service]:
    """A service that is ready; it stops on leaving."""
    with Service(config) as service:
        _interrupt_on_signals()
        service.check_ports()
        _pull_missing(service.models())
        _start(service)
        _interrupt_on_signals()  # again: Ray has set its own
        yield service


def _chosen(names: Sequence[str] | None, catalogue_file: Path) -> Sequence[ModelCard]:
    return arguments.cards(Arguments(catalogue=str(catalogue_file.absolute()), models=tuple(names) if names else None))


def _pull_missing(cards: Sequence[ModelCard]) -> None:
    """Fetch what is not there, or not right to the last byte; hashing takes a second for each gigabyte."""
    _pull([card for card in cards if not _is_sound(card)])


def _is_sound(card: ModelCard) -> bool:
    try:
        ModelStore(cache_folder()).verify(card)
    except ModelFilesError:
        return False
    return True


def _pull(cards: Sequence[ModelCard]) -> None:
    """Fetch the files of models, with a bar for each."""
    store = ModelStore(cache_folder())
    columns = TextColumn("{task.fields[phase]:<12}{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, Any] = {}

        def report(model: str, phase: str, done: int, total: int | None) -> None:
            bars.update(tasks[model], phase=phase, completed=done, total=total)

        for card in cards:
            if card.sources:
                tasks[card.name] = bars.add_task(card.name, phase="", total=None)
                folder = store.pull(card, report)
                size = sum(path.stat().st_size for path in folder.iterdir()) if folder else 0
                bars.update(tasks[card.name], phase="ready", completed=size, total=size)


def _start(service: Service) -> None:
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bars:
        task = bars.add_task("starting Ray", total=None)

        def report(states: Mapping[str, str]) -> None:
            ready = sum(state == "HEALTHY" for state in states.values())
            what = f"deployments: {ready} of {len(states)} are ready" if states else "Ray Serve"
            bars.update(task, description=f"starting {what}")

        service.start(report)


def _introduce(service: Service, seconds: float) -> None:
    """Say what is running, where, and how to try it."""
    settings = environment.read()
    rows = {
        "REST": service.rest_address,
        "gRPC": service.grpc_address,
        "models": ", ".join(card.name for card in service.models()),
        "data": settings.shown_url or f"{settings.data} (embedded store)",
        "cache": str(cache_folder()),
        "logs": str(service.logs),
    }
    console.print(f"[bold green]ready[/] in {seconds:.1f} s; no key is asked for; Ctrl-C stops it")
    for name, value in rows.items():
        console.print(f"  [bold]{name:<7}[/] {value}", soft_wrap=True)
    console.print("try it:", style="bold")
    console.print("  " + _example(service.rest_address), soft_wrap=True, markup=False)


def _example(address: str) -> str:
    """One line that creates a collection, stores a text, and finds it."""
    model = "sentence-transformers/all-minilm-l6-v2"
    send = "curl -s -H 'Content-Type: application/json'"
    point = f'{{"id":1,"vector":{{"text":"chocolate chip cookies","model":"{model}"}}}}'
    steps = (
        f"""{send} -X PUT {address}/collections/try -d '{{"vectors":{{"size":384,"distance":"Cosine"}}}}'""",
        f"""{send} -X PUT '{address}/collections/try/points?wait=true' -d '{{"points":[{point}]}}'""",
        f"""{send} {address}/collections/try/points/query -d '{{"query":{{"text":"baking","model":"{model}"}}}}'""",
    )
    return "; ".join(steps)


def _or_dash(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Tell the operator's errors in one line, and end with status 1."""
    try:
        yield
    except SetupError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(1)


def _interrupt_on_signals() -> None:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt; those that follow do not disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        console.print("stopping ...")
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
