"""`qdrant-inference up`: start a service, say what runs where, and run until somebody ends it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deployments.errors import ConfigError, reason
from deployments.files.store import cache_folder
from serve_app.cli.files import LOCAL, existing
from serve_app.cli.launcher import Service
from serve_app.cli.models import pull_missing
from serve_app.cli.neighbours import qdrant_trouble, who_answers
from serve_app.cli.ports import free_pair
from serve_app.cli.serve_config import AS_IN_THE_FILE, Overrides
from serve_app.cli.terminal import console, leave, reported_errors
from serve_app.config import environment

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PORT = {"min": 1, "max": 65535}

Config = Annotated[Path, typer.Option(callback=existing, help="a Serve config file; the options below count more")]
Qdrant = Annotated[
    str | None,
    typer.Option(metavar="URL", help="put inference in front of this Qdrant, in place of the embedded store"),
]
Host = Annotated[str | None, typer.Option(help="the address to listen on; 0.0.0.0 opens the service to the network")]
RestPort = Annotated[int | None, typer.Option(**_PORT, help="the port of the REST API and the console")]
GrpcPort = Annotated[
    int | None,
    typer.Option(**_PORT, help="the port of the gRPC API; default: the next one after --port, if that is given"),
]
OfCatalogue = Annotated[Path | None, typer.Option(help="a model catalogue, such as the one that `models add` writes")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="serve only this model of the catalogue; several: repeat it, or put commas between"
    ),
]
Data = Annotated[Path | None, typer.Option(help="the folder of the embedded store and the ledger")]


def up(  # noqa: PLR0913, PLR0917  typer makes an option of each
    config: Config = LOCAL,
    qdrant: Qdrant = None,
    host: Host = None,
    port: RestPort = None,
    grpc_port: GrpcPort = None,
    catalogue: OfCatalogue = None,
    models: Models = None,
    data: Data = None,
) -> None:
    """Fetch missing model files, start the service, and run until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    ready = False
    with reported_errors():
        try:
            _into_environment({"QDRANT_URL": _urls(qdrant), "QDRANT_INFERENCE_DATA": data})
            with running(config, _overrides(host, port, grpc_port, catalogue, models)) as service:
                _introduce(service, time.monotonic() - began)
                ready = True
                threading.Event().wait()
        except KeyboardInterrupt:
            console.print("stopped; nothing is left running")
    raise typer.Exit(0 if ready else 130)


def _urls(qdrant: str | None) -> str | None:
    """The option as it was given, once it is known to be good: an error of the environment would name a variable."""
    try:
        environment.urls(qdrant or "http://localhost")
    except ValueError as error:
        raise ConfigError(f"--qdrant: {error}") from error
    return qdrant


def _into_environment(values: Mapping[str, object | None]) -> None:
    """What the command line says counts more than the environment, for all processes of the service."""
    os.environ.update({name: str(value) for name, value in values.items() if value is not None})


def _overrides(
    host: str | None, port: int | None, grpc_port: int | None, catalogue: Path | None, models: Sequence[str] | None
) -> Overrides:
    names = [name.strip() for several in models or () for name in several.split(",") if name.strip()]
    return Overrides(host, port, grpc_port, existing(catalogue) if catalogue else None, names or None)


@contextmanager
def running(config: Path, overrides: Overrides = AS_IN_THE_FILE) -> Iterator[Service]:
    """A service that is ready; it stops on leaving."""
    settings = environment.read()
    with Service(config, overrides) as service:
        interrupt_on_signals()
        _check_folder(settings)
        service.check_ports(lambda taken: _advice(service, taken))
        _expect_alone(settings)
        _expect_another_address(service, settings)
        pull_missing(service.models())
        try:
            _start(service)
        except (KeyboardInterrupt, SystemExit):  # the second is how Ray answers SIGTERM while it starts
            _leave_start(service)
        interrupt_on_signals()  # again: Ray has set its own
        yield service


def _check_folder(settings: environment.Environment) -> None:
    """Say now, and not in a replica's log, that the folder of data cannot be used, or has to be moved first."""
    from serve_app.embedded.edge.store import check_form  # noqa: PLC0415  takes long to import

    if not settings.qdrant_url:
        check_form(settings.data)
    elif settings.qdrant_inference_database_url:
        return  # nothing is kept there
    try:
        there = next(place for place in (settings.data, *settings.data.parents) if place.exists())
        TemporaryFile(dir=there).close()  # the folder itself is made when nothing stands in the way of the start
    except OSError as error:
        text = f"{settings.data}: the embedded store and the ledger cannot be written here: {reason(error)}"
        raise ConfigError(text, "name another folder: --data FOLDER") from error


def _expect_alone(settings: environment.Environment) -> None:
    """Say now that another service has the embedded store."""
    from serve_app.embedded.edge.folders import lock  # noqa: PLC0415  as above

    if not settings.qdrant_url:
        lock(settings.data).close()
    elif settings.qdrant_inference_database_url is None:
        settings.data.mkdir(parents=True, exist_ok=True)


def _advice(service: Service, taken: Sequence[str]) -> str:
    """What to do about ports that are taken, after a look at who answers there."""
    http = service.config.http_options
    if "REST" not in taken and "gRPC" not in taken:
        return "choose others for them: set RAY_SERVE_HAPROXY_STATS_PORT=8405 and RAY_SERVE_HAPROXY_METRICS_PORT=9102"
    other = f"--port {free_pair(http.host, http.port)}"
    neighbour = who_answers(http.port) if "REST" in taken else None
    if neighbour is None:
        return f"stop it, or choose other ports: qdrant-inference up {other}"
    if neighbour.ours:
        return f"qdrant-inference already runs here: http://localhost:{http.port}/inference/"
    return (
        f"Qdrant {neighbour.qdrant} runs on {http.port}. Put inference in front of it:\n"
        f"  qdrant-inference up --qdrant http://localhost:{http.port} {other}"
    )


def _expect_another_address(service: Service, settings: environment.Environment) -> None:
    """Make sure that Qdrant's address is not the service's own, which would ask itself for ever.

    Raises:
        ConfigError: it is.
    """
    http = service.config.http_options
    for url in map(urlsplit, settings.qdrant_url):
        if url.hostname in {*_LOOPBACK, http.host} and (url.port or _DEFAULT_PORTS[url.scheme]) == http.port:
            raise ConfigError(
                f"Qdrant's address {url.scheme}://{url.hostname}:{http.port} is that of the service itself",
                f"let the service listen elsewhere: --port {free_pair(http.host, http.port)}",
            )


def _start(service: Service) -> None:
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, refresh_per_second=4) as bars:
        task = bars.add_task("starting Ray", total=None)

        def report(states: Mapping[str, str]) -> None:
            ready = sum(state == "HEALTHY" for state in states.values())
            what = f"deployments: {ready} of {len(states)} are ready" if states else "Ray Serve"
            bars.update(task, description=f"starting {what}")

        service.start(report)


def _leave_start(service: Service) -> NoReturn:
    """End a start that was interrupted, and this process with it."""
    _ignore_signals()
    service.cut_off()
    console.print("stopped; nothing is left running")
    leave(130)


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
    if settings.qdrant_url and (trouble := qdrant_trouble(service.config.http_options.port)):
        said = f"[bold yellow]{escape(trouble)}[/] ({escape(settings.shown_url)}); requests get 503 until it answers"
        console.print(said, soft_wrap=True)
    console.print("try it:", style="bold")
    console.print("  " + _example(service, settings), soft_wrap=True, markup=False)


def _access(settings: environment.Environment, host: str) -> str:
    """Who may use the service."""
    if settings.asks_for_a_key:
        return "callers need a key"
    if host in _LOOPBACK:
        return "[bold yellow]callers need no key[/]"
    return f"[bold yellow]callers need no key, and {host} is open to the network: anybody there may do everything[/]"


def _example(service: Service, settings: environment.Environment) -> str:
    """One line that creates a collection, stores a text, and finds it; by the first dense model, if there is one."""
    address = service.rest_address
    key = ' -H "api-key: $QDRANT_API_KEY"' if settings.asks_for_a_key else ""
    card = next((card for card in service.models() if card.vector_kind == "dense" and "text" in card.reads), None)
    if card is None:
        return f"curl -s{key} {address}/inference/models"
    send = f"curl -s{key} -H 'Content-Type: application/json'"
    point = f'{{"id":1,"vector":{{"text":"chocolate chip cookies","model":"{card.name}"}}}}'
    vectors = f'{{"vectors":{{"size":{card.dimensions},"distance":"Cosine"}}}}'
    steps = (
        f"{send} -X PUT {address}/collections/try -d '{vectors}'",
        f"""{send} -X PUT '{address}/collections/try/points?wait=true' -d '{{"points":[{point}]}}'""",
        f"""{send} {address}/collections/try/points/query -d '{{"query":{{"text":"baking","model":"{card.name}"}}}}'""",
    )
    return "; ".join(steps)


def interrupt_on_signals() -> None:
    """The first SIGINT or SIGTERM raises KeyboardInterrupt; those that follow do not disturb the stop."""

    def interrupt(*_: object) -> None:
        _ignore_signals()
        console.print("stopping ...")
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _ignore_signals() -> None:
    """Let no signal disturb a stop, nor the alarm by which Ray's library would abort three seconds after a SIGTERM."""
    signal.alarm(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
