"""The command line: `qdrant-inference`."""

from __future__ import annotations

import asyncio
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from deployments.errors import ConfigError
from serve_app.cli import examples
from serve_app.cli.config import config_app
from serve_app.cli.files import LOCAL
from serve_app.cli.models import models_app
from serve_app.cli.models_add import add
from serve_app.cli.neighbours import who_answers
from serve_app.cli.ports import check_free, free_pair
from serve_app.cli.terminal import Commands, console, plural, reported_errors
from serve_app.cli.up import interrupt_on_signals, running, up
from serve_app.config import environment

app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.command(epilog=examples.UP)(up)
models_app.command(epilog=examples.ADD)(add)
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")

_PORT = 6333
_ADDRESS = f"http://localhost:{_PORT}"

Url = Annotated[
    str | None,
    typer.Option(
        help=f"the address of a running service; default: {_ADDRESS}; if none runs there, the demo starts one"
    ),
]
Again = Annotated[
    bool | None,
    typer.Option(
        "--again/--skip", help="what to do with a collection that is filled already; default: ask, or skip if piped"
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


@app.command(epilog=examples.DEMO)
def demo(url: Url = None, again: Again = None) -> None:
    """Fill two collections with texts and drawings, and search them."""
    from serve_app.demo import walkthrough  # noqa: PLC0415  its client takes long to import, and `up` has no use for it

    told = False

    def wanted(collection: str, points: int) -> bool:
        if again is None and sys.stdin.isatty():
            return typer.confirm(f"{collection} holds {points:,} points already; embed and write them again?")
        return bool(again)

    with reported_errors():
        try:
            if url or walkthrough.answers(_ADDRESS):
                interrupt_on_signals()
                if not url:
                    _expect_inference()
                walkthrough.tell(url or _ADDRESS, console, wanted)
            else:
                console.print(f"nothing answers at {_ADDRESS}; the demo starts a service")
                with running(LOCAL) as service:
                    walkthrough.tell(service.rest_address, console, wanted)
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


def _expect_inference() -> None:
    """Say now that the usual address is a Qdrant's alone, which would take the demo's collections but not its texts."""
    neighbour = who_answers(_PORT)
    if neighbour and not neighbour.ours:
        raise ConfigError(
            f"{_ADDRESS} is Qdrant {neighbour.qdrant} without inference",
            "name the service in front of it: qdrant-inference demo --url http://localhost:6343",
        )


store_app = typer.Typer(help="The embedded store.", invoke_without_command=True, epilog=examples.STORE)
app.add_typer(store_app, name="store")


@store_app.callback()
def store(
    context: typer.Context,
    folder: Folder = None,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(min=1, max=65535, help="the port of the REST API")] = 7333,
    grpc_port: Annotated[int, typer.Option(min=1, max=65535, help="the port of the gRPC API")] = 7334,
) -> None:
    """Serve the embedded store alone, without inference: a small Qdrant for tests and trials."""
    if context.invoked_subcommand:
        return
    from serve_app.embedded import server  # noqa: PLC0415  as above

    with reported_errors():
        check_free({"REST": (host, rest_port), "gRPC": (host, grpc_port)}, lambda _: _other_ports(host, rest_port))
        place = folder or environment.read().data

        def ready() -> None:
            console.print(f"ready: REST http://{host}:{rest_port}, gRPC {host}:{grpc_port}, data {place}")

        asyncio.run(server.serve(place, host, rest_port, grpc_port, ready))


def _other_ports(host: str, rest_port: int) -> str:
    port = free_pair(host, rest_port)
    return f"choose other ports: qdrant-inference store --rest-port {port} --grpc-port {port + 1}"


@store_app.command()
def migrate(folder: Folder = None) -> None:
    """Move a store of the form that was there before; what was there is kept beside it."""
    from serve_app.embedded.edge.migrate import migrate as moved  # noqa: PLC0415  as above

    with reported_errors():
        place = folder or environment.read().data
        old = moved(place, lambda name, points: console.print(f"{name}: {plural(points, 'point')}"))
        console.print(f"done; the old store is kept in {old}")
