"""All attacks, against a service with keys that is started for them: `make attack`.

`python -m tests.attack NAME...` tries these alone.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from serve_app.front.haproxy import SECRET
from serve_app.front.sockets import of_this_run, unexpected
from tests.attack.attacks import ALL, Attack, Outcome, Target, attempt, silent_callers
from tests.attack.costs import MOST_BYTES, MOST_SECONDS, Cost, of_known_callers, of_strangers
from tests.attack.others import Beside, HonestCaller
from tests.support.guarded import KEY, READ_ONLY, TOKENS, granted
from tests.support.running import RunningService

ROUNDS = 3
"""Of each attack, with as many quiet times between them; those that take long have one."""

QUIET_S = 1.5
POINTS = 1000


def main(names: Sequence[str]) -> int:
    """The number of attacks that were not held; of all, if no names are given."""
    chosen = [attack for attack in ALL if not names or attack.__name__ in names]
    _hold_many_files()
    outcomes = _of_a_service(chosen)
    console = Console(width=180)
    console.print(_table(outcomes))
    failures = sum(not outcome.held for outcome, _ in outcomes)
    return failures if names else failures + _dear(console)


def _dear(console: Console) -> int:
    """How many kinds of requests cost too much."""
    costs = asyncio.run(of_strangers())
    slowest, nanoseconds, memory = asyncio.run(of_known_callers())
    console.print(_costs(costs))
    console.print(f"With a key: {nanoseconds} ns and {memory} bytes at most for each byte ({slowest.what}).")
    return len([one for one in costs if one.seconds > MOST_SECONDS or one.memory > MOST_BYTES])


def _of_a_service(chosen: Sequence[Attack]) -> list[tuple[Outcome, Beside | None]]:
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        service = RunningService(Path(folder), dict(TOKENS)).start()
        try:
            return [*((one, None) for one in _sockets(service)), *_attacked(service, chosen)]
        finally:
            run = next(parent for parent in service.logs.parents if parent.parent == Path("/tmp"))
            service.stop()
            shutil.rmtree(run, ignore_errors=True)  # the logs, which a service leaves


def _hold_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _target(service: RunningService) -> Target:
    memory, token = partial(_memory, service), granted(("c", "r"))
    target = Target(service.rest_port, KEY, token, "qdrant/bm25", memory, READ_ONLY, service.grpc_port)
    for name in ("c", "secret"):
        target.ask("PUT", f"/collections/{name}", {"vectors": {"size": 1, "distance": "Dot"}}, api_key=KEY)
    points = [{"id": number, "vector": [number], "payload": {"number": number}} for number in range(POINTS)]
    target.ask("PUT", "/collections/c/points?wait=true", {"points": points}, api_key=KEY)
    return target


def _attacked(service: RunningService, chosen: Sequence[Attack]) -> list[tuple[Outcome, Beside | None]]:
    target = _target(service)
    caller = HonestCaller(service.rest_port, KEY)
    try:
        return [_beside(attack, target, caller) for attack in chosen]
    finally:
        caller.stop()


def _beside(attack: Attack, target: Target, caller: HonestCaller) -> tuple[Outcome, Beside]:
    """An attack in turns with quiet times: what came of it, the worst of all rounds, and what somebody else saw."""
    quiet, attacked, outcomes = [], [], []
    for _ in range(ROUNDS if attack is not silent_callers else 1):
        began = time.monotonic()
        time.sleep(QUIET_S)
        hit = time.monotonic()
        outcomes.append(attempt(attack, target))
        quiet.append((began, hit))
        attacked.append((hit, time.monotonic()))
    return min(outcomes, key=lambda one: (one.held, -one.seconds)), caller.compared(quiet, attacked)


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


def _table(outcomes: Sequence[tuple[Outcome, Beside | None]]) -> Table:
    table = Table("attack", "answer", "seconds", "memory, MB", "others' p99, ms", "beside it", "ratio", "held")
    for one, beside in outcomes:
        seen = ("", "", "")
        if beside:
            seen = f"{beside.usually * 1000:.1f}", f"{beside.beside * 1000:.1f}", f"{beside.ratio:.1f}"
        held = "yes" if one.held else "NO"
        table.add_row(one.attack, one.answer, f"{one.seconds:.2f}", f"{one.memory / 1e6:+.0f}", *seen, held)
    return table


def _costs(costs: Sequence[Cost]) -> Table:
    table = Table("requests without a credential, the dearest of", "processor time, ms", "memory, KB")
    for one in costs:
        table.add_row(one.what, f"{one.seconds * 1000:.2f}", f"{one.memory / 1000:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
