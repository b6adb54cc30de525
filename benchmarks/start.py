"""How long does a start take when everything is in the cache, and who uses the processors meanwhile?"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import processes, tables, targets
from tests.support.running import RunningService

_TARGET_S = 15


def main() -> None:
    """Start a few times and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2, help="after a first one that is not counted")
    asked = parser.parse_args()
    tables.show_machine()
    rows: list[Sequence[object]] = []
    used: dict[str, float] = {}
    for number in range(asked.times + 1):
        with tempfile.TemporaryDirectory() as folder:
            running = RunningService(Path(folder))
            began = time.perf_counter()
            running.start()
            seconds = time.perf_counter() - began
            used = processes.spent(running).seconds
            running.stop()
        if number:
            rows.append((number, seconds, sum(used.values())))
    tables.show("Seconds until everything is ready", ("start", "seconds", "processor seconds of all processes"), rows)
    tables.show("Processor seconds of the last start", ("process", "seconds"), sorted(used.items()))
    targets.at_most("seconds until a service is ready", min(float(str(row[1])) for row in rows), _TARGET_S)


if __name__ == "__main__":
    main()
