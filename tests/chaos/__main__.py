"""The chaos suite: `python -m tests.chaos`, or parts of it with `--only WORDS`. Prints a Markdown table.

The exit status is 1 when a promise was broken, or when the time was not enough for all faults.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Sequence

from tests.chaos.lives import LIVES, NAMES
from tests.chaos.report import Row, table

_LIMIT_S = 15 * 60


async def run(chosen: Sequence[str]) -> list[Row]:
    """Do the chosen faults; what there is no time for is a row that says so."""
    rows: list[Row] = []
    try:
        await asyncio.wait_for(_run_all(chosen, rows), _LIMIT_S)
    except asyncio.TimeoutError:
        done = {row.fault for row in rows}
        rows += [Row(name, broken=["not done: the time was over"]) for name in chosen if name not in done]
    return rows


async def _run_all(chosen: Sequence[str], rows: list[Row]) -> None:
    for life in LIVES:
        async for row in life(chosen):
            rows.append(row)
            sys.stderr.write(" | ".join(row.cells()) + "\n")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", metavar="WORDS", help="faults with these words in their name")
    only = parser.parse_args().only or [""]
    chosen = [name for name in NAMES if any(words in name for words in only)]
    began = time.monotonic()
    rows = asyncio.run(run(chosen))
    took = f"{len(chosen)} faults in {time.monotonic() - began:.0f} s on {os.cpu_count()} cores, {platform.machine()}."
    sys.stdout.write(f"{table(rows)}\n\n{took}\n")
    return int(not rows or any(row.broken for row in rows))


if __name__ == "__main__":
    sys.exit(main())
