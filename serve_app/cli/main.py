"""The command line: `qdrant-inference`."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deployments.files.store import cache_folder
from serve_app.cli.config import config_app
from serve_app.cli.files import LOCAL, existing
from serve_app.cli.launcher import Service
from serve_app.cli.models import models_app, pull_missing
from serve_app.cli.models_add import add
from serve_app.cli.ports import check_free
from serve_app.cli.terminal import console, reported_errors
from serve_app.config import environment

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
models_app.command()(add)
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")

_ADDRESS = "http://localhost:6333"

Config = Annotated[Path, typer.Option(callback=existing, help="a Serve config file")]
Url = Annotated[
    str | None,
    typer.Option(
        help=f"the address of a running service; default: {_ADDRESS}; if none runs there, the demo starts one"
    ),
]
Folder = Annotated[Path | None, typer.Option(help="the folder of the data; default: QDRANT_INFERENCE_DATA")]


def _tell_version(wanted: bool) -> None:  # noqa: FBT001  as typer calls it
    if wanted:
        console.print(f"qdrant-inference {version('qdrant-inference')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="show the version, and end")
    ] = False,
) -> None:
    """Self-hosted inference for Qdrant."""


@app.command()
def up(config: Config = LOCAL) -> None:
    """Fetch missing model files, start the service, and run until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    ready = False
    with reported_errors():
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
    from serve_app.demo import walkthrough  # noqa: PLC0415  its client takes long to import, and `up` has no use for it

    told = False
    with reported_errors():
        try:
            if url or walkthrough.answers(_ADDRESS):
                _interrupt_on_signals()
                walkthrough.tell(url or _ADDRESS, console)
            else:
                console.print(f"nothing answers at {_ADDRESS}; the demo starts a service")
                with _running(LOCAL) as service:
                    walkthrough.tell(service.rest_address, console)
                    told = True
                    if sys.stdin.isatty():
                        console.print("the service keeps running; Ctrl-C stops it")
                        threading.Event().wait()
                    console.print(
                        "stopping the service; its data stays on disk, and [bold]qdrant-inference up[/] starts it again"
                    )
        except KeyboardInterrupt:
            console.print("stopped; the points stored so far stay")
            raise typer.Exit(0 if told else 130) from None


store_app = typer.Typer(help="The embedded store.", invoke_without_command=True)
app.add_typer(store_app, name="store")


@store_app.callback()
def store(
    context: typer.Context,
    folder: Folder = None,
    host: str = "127.0.0.1",
    rest_port: int = 7333,
    grpc_port: int = 7334,
) -> None:
    """Serve the embedded store alone, without inference: a small Qdrant for tests and trials."""
    if context.invoked_subcommand:
        return
    from serve_app.embedded import server  # noqa: PLC0415  as above

    with reported_errors():
        check_free({"REST": (host, rest_port), "gRPC": (host, grpc_port)})
        place = folder or environment.read().data

        def ready() -> None:
            console.print(f"ready: REST http://{host}:{rest_port}, gRPC {host}:{grpc_port}, data {place}")

        asyncio.run(server.serve(place, host, rest_port, grpc_port, ready))


@store_app.command()
def migrate(folder: Folder = None) -> None:
    """Move a store of the form that was there before; what was there is kept beside it."""
    from serve_app.embedded.edge.migrate import migrate as moved  # noqa: PLC0415  as above

    with reported_errors():
        place = folder or environment.read().data
        old = moved(place, lambda name, points: console.print(f"{name}: {points} points"))
        console.print(f"done; the old store is kept in {old}")


def _check_store() -> None:
    """Say now, and not in a replica's log, that the embedded store's folder has to be moved first."""
    from serve_app.embedded.edge.store import check_form  # noqa: PLC0415  as above

    settings = environment.read()
    if not settings.qdrant_url:
        check_form(settings.data)


@contextmanager
def _running(config: Path) -> Iterator[Service]:
    """A service that is ready; it stops on leaving."""
    with Service(config) as service:
        _interrupt_on_signals()
        _check_store()
        service.check_ports()
        pull_missing(service.models())
        _start(service)
        _interrupt_on_signals()  # again: Ray has set its own
        yield service


def _start(service: Service) -> None:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
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
        "console": f"{service.rest_address}/inference/",
        "models": ", ".join(card.name for card in service.models()),
        "data": settings.shown_url or f"{settings.data} (embedded store)",
        "cache": str(cache_folder()),
        "logs": str(service.logs),
        "metrics": service.metrics_address,
    }
    access = _access(settings, service.config.http_options.host)
    console.print(f"[bold green]ready[/] in {seconds:.1f} s; {access}; Ctrl-C stops it", soft_wrap=True)
    for name, value in rows.items():
        console.print(f"  [bold]{name:<7}[/] {value}", soft_wrap=True)
    console.print("try it:", style="bold")
    console.print("  " + _example(service.rest_address, settings), soft_wrap=True, markup=False)


def _access(settings: environment.Environment, host: str) -> str:
    """Who may use the service."""
    if settings.asks_for_a_key:
        return "callers need a key"
    if host in {"127.0.0.1", "localhost", "::1"}:
        return "[bold yellow]callers need no key[/]"
    return f"[bold yellow]callers need no key, and {host} is open to the network: anybody there may do everything[/]"


def _example(address: str, settings: environment.Environment) -> str:
    """One line that creates a collection, stores a text, and finds it."""
    model = "sentence-transformers/all-minilm-l6-v2"
    key = ' -H "api-key: $QDRANT_API_KEY"' if settings.asks_for_a_key else ""
    send = f"curl -s{key} -H 'Content-Type: application/json'"
    point = f'{{"id":1,"vector":{{"text":"chocolate chip cookies","model":"{model}"}}}}'
    steps = (
        f"""{send} -X PUT {address}/collections/try -d '{{"vectors":{{"size":384,"distance":"Cosine"}}}}'""",
        f"""{send} -X PUT '{address}/collections/try/points?wait=true' -d '{{"points":[{point}]}}'""",
        f"""{send} {address}/collections/try/points/query -d '{{"query":{{"text":"baking","model":"{model}"}}}}'""",
    )
    return "; ".join(steps)


def _interrupt_on_signals() -> None:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt; those that follow do not disturb the stop."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        console.print("stopping ...")
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
