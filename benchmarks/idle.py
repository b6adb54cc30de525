"""What does a service cost that nobody asks for anything? Processor time of each process, ms a second."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks import processes, tables, targets

_SETTLING_S = 20
_TARGET_MS = 80


def main() -> None:
    """Start a service, leave it alone, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds: float = parser.parse_args().seconds
    tables.show_machine()
    with processes.service({}) as running:
        time.sleep(_SETTLING_S)
        before, began = processes.spent(running, _name), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        spent = processes.spent(running, _name).since(before)
    used = {name: used_s * 1000 / passed for name, used_s in spent.items()}
    rows = sorted(used.items(), key=lambda row: -row[1])
    tables.show("At rest", ("process", "ms a second"), [*rows, ("all", sum(used.values()))])
    targets.at_most("ms of processor time a second, at rest", sum(used.values()), _TARGET_MS)


def _name(command: list[str]) -> str:
    """Ray's processes have titles or programs of their own; `python` runs ours and Ray's agents."""
    kind = processes.kind(command)
    if kind != "Ray" or not command:
        return kind
    if command[0].startswith("ray::"):
        return command[0]
    scripts = [Path(word).name for word in command if word.endswith(".py")]
    return scripts[0] if scripts else Path(command[0]).name


if __name__ == "__main__":
    main()
