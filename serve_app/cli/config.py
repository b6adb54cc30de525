"""The commands for Serve config files: `qdrant-inference config`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Column, Table

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError, reason
from serve_app.cli import examples
from serve_app.cli.config_check import check
from serve_app.cli.files import LOCAL, existing
from serve_app.cli.terminal import console, plural, reported_errors
from serve_app.config import environment
from serve_app.config.resources import STORE, Demand, Resources, bytes_of, nodes_needed, total

config_app = typer.Typer(help="Check and print Serve config files.", no_args_is_help=True, rich_markup_mode="rich")

File = Annotated[
    Path, typer.Argument(callback=existing, help="a Serve config file, or a RayService manifest with one inside")
]
NodeCpus = Annotated[float, typer.Option(help="cores that one node offers to Ray")]
NodeGpus = Annotated[float, typer.Option(help="GPUs that one node with GPUs offers to Ray")]
NodeMemory = Annotated[str, typer.Option(help="memory that one node offers to Ray")]


@config_app.command(epilog=examples.CONFIG)
def show(file: File = LOCAL) -> None:
    """Print a config file or a catalogue that comes with the project, as a start for your own.

    `configs/serve-local.yaml` is the one that `up` takes; `configs/models/starter.yaml` is its catalogue.
    """
    with reported_errors():
        try:
            typer.echo(file.read_text(encoding="utf-8"), nl=False)
        except OSError as error:
            raise ConfigError(f"{file}: {reason(error)}", _shipped(file)) from error


def _shipped(file: Path) -> str:
    """Which files come with the project, if somebody asks for one that does not."""
    if file.exists():
        return ""
    files = sorted(path.relative_to(HOME).as_posix() for path in (HOME / "configs").rglob("*.yaml"))
    return "\n  ".join(["these come with the project:", *files])


@config_app.command("check", epilog=examples.CHECK)
def check_file(
    file: File, node_cpus: NodeCpus = 8.0, node_gpus: NodeGpus = 1.0, node_memory: NodeMemory = "32Gi"
) -> None:
    """Validate a Serve config file without a cluster, and show the resources that it will ask for.

    The embedded store is among them if QDRANT_URL is not set.
    """
    with reported_errors():
        node = Resources(node_cpus, node_gpus, bytes_of(node_memory))
        demands = check(file) + ([] if environment.read().qdrant_url else [STORE])
        console.print(_table(demands))
        console.print(_nodes(node, demands))
        console.print(f"[green]✓[/] {escape(str(file))} is valid", soft_wrap=True)


def _table(demands: Sequence[Demand]) -> Table:
    numbers = [Column(name, justify="right") for name in ("replicas", "CPUs each", "GPUs each", "memory each")]
    table = Table("deployment", *numbers, "others each", box=box.SIMPLE_HEAD)
    for demand in demands:
        table.add_row(demand.deployment, f"{demand.least}-{demand.most}", *_cells(demand.replica))
    table.add_section()
    for name, least in (("at least", True), ("at most", False)):
        replicas = _replicas(demands, least=least)
        table.add_row(name, str(len(replicas)), *_cells(total(replicas)))
    return table


def _cells(resources: Resources) -> tuple[str, ...]:
    others = ", ".join(f"{name}: {amount:g}" for name, amount in resources.custom.items())
    return f"{resources.cpus:g}", f"{resources.gpus:g}", f"{resources.memory / 2**30:.1f} GiB", others


def _replicas(demands: Iterable[Demand], *, least: bool) -> list[Resources]:
    return [demand.replica for demand in demands for _ in range(demand.least if least else demand.most)]


def _nodes(node: Resources, demands: Sequence[Demand]) -> str:
    """How many nodes hold it all.

    Nodes with GPUs are for replicas that ask for some, all others go to nodes without. A custom resource is one that
    only some nodes offer, each as much of it as the replica that asks for most.
    """
    usual = [demand for demand in demands if not demand.replica.custom]
    with_gpus = [demand for demand in usual if demand.replica.gpus]
    lines = [_count(replace(node, gpus=0), [demand for demand in usual if not demand.replica.gpus])]
    lines += [_count(node, with_gpus)] if with_gpus else []
    for name in dict.fromkeys(name for demand in demands for name in demand.replica.custom):
        special = [demand for demand in demands if name in demand.replica.custom]
        most = max(demand.replica.custom[name] for demand in special)
        lines.append(_count(replace(node, gpus=0, custom={name: most}), special))
    return "\n".join(lines)


def _count(node: Resources, demands: Sequence[Demand]) -> str:
    least, most = (nodes_needed(node, _replicas(demands, least=least)) for least in (True, False))
    gpus = f", {plural(node.gpus, 'GPU')}" if node.gpus else ""
    others = "".join(f", {amount:g} {name}" for name, amount in node.custom.items())
    size = f"{plural(node.cpus, 'CPU')}{gpus}{others} and {node.memory / 2**30:g} GiB"
    if most is None:
        return f"nodes of {size} are too small for one of the replicas"
    return f"nodes of {size}: {least} at least, {most} at most"
