"""All attacks, against a service with keys that is started for them: `make attack`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from serve_app.front.haproxy import SECRET
from serve_app.front.sockets import of_this_run, unexpected
from tests.attack.attacks import ALL, Outcome, Target, attempt
from tests.support.guarded import KEY, TOKENS, granted
from tests.support.running import RunningService


def main() -> int:
    """The number of attacks that were not held."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        service = RunningService(Path(folder), dict(TOKENS)).start()
        try:
            outcomes = [*_sockets(service), *(attempt(attack, _target(service)) for attack in ALL)]
        finally:
            run = next(parent for parent in service.logs.parents if parent.parent == Path("/tmp"))
            service.stop()
            shutil.rmtree(run, ignore_errors=True)  # the logs, which a service leaves
    Console(width=160).print(_table(outcomes))
    return sum(not outcome.held for outcome in outcomes)


def _target(service: RunningService) -> Target:
    target = Target(service.rest_port, KEY, granted(("c", "r")), "qdrant/bm25", lambda: _memory(service))
    for name in ("c", "secret"):
        target.ask("PUT", f"/collections/{name}", {"vectors": {"size": 1, "distance": "Dot"}}, api_key=KEY)
    return target


def _memory(service: RunningService) -> int:
    total = 0
    for process in service.family():
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _sockets(service: RunningService) -> list[Outcome]:
    secrets = {process.environ().get(SECRET) for process in service.family()} - {None}
    found = [one for secret in secrets for one in of_this_run(str(secret))]
    open_ones = unexpected(found, ())
    said = "; ".join(f"{one.process} {one.host}:{one.port}" for one in open_ones) or f"{len(found)} sockets, all local"
    return [Outcome("Sockets that others can reach.", said, 0.0, 0, bool(found) and not open_ones)]


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("attack", "answer", "seconds", "memory, MB", "held")
    for one in outcomes:
        table.add_row(
            one.attack, one.answer, f"{one.seconds:.2f}", f"{one.memory / 1e6:+.0f}", "yes" if one.held else "NO"
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
