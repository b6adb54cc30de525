"""What do the benchmarks say of another commit, and of this one? `make bench AGAINST=COMMIT`.

Each benchmark runs in both trees by their own modules, one after the other, and the lines that both have are shown
with their ratio. The other commit runs with the packages that are installed here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import tables
from benchmarks.trees import OLD, THIS, tree_of

_SHORT = (
    ("scaling", "--seconds", "2", "--replicas"),
    ("query_latency", "--seconds", "4", "--concurrency", "1", "64"),
    ("mixed", "--seconds", "10"),
    ("ingest", "--texts", "960", "--peer-texts", "64"),
    ("start", "--times", "1"),
)
"""Benchmarks that both trees have, with arguments that both take."""

_COUNTS = frozenset({"at a time", "start"})
"""Columns of numbers that say what a line is of, as words do everywhere; other numbers are figures."""

Line = tuple[str, ...]
Figures = Mapping[Line, Mapping[str, float]]


def main() -> None:
    """Run both, and print a table for each table that both print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", nargs="?", default=OLD)
    parser.add_argument("--only", default="", help="benchmarks that have this in their names")
    asked = parser.parse_args()
    tables.show_machine()
    failed = []
    with tree_of(asked.commit) as other:
        for name, *arguments in (one for one in _SHORT if asked.only in one[0]):
            print(f"\n## benchmarks.{name} {' '.join(arguments)}", flush=True)
            began = time.monotonic()
            before, after = (_printed(tree, name, arguments) for tree in (other, THIS))
            if before is None or after is None:
                failed.append(name)
            else:
                _show(before, after, asked.commit)
            print(f"\n({time.monotonic() - began:.0f} s)", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _printed(tree: Path, name: str, arguments: Sequence[str]) -> str | None:
    """What a benchmark prints; None if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return None if done.returncode else done.stdout


def _show(before: str, after: str, commit: str) -> None:
    old, new = figures(before), figures(after)
    for title in [title for title in new if title in old]:
        head = ("of what", "figure", commit, "this tree", f"to {commit}")
        tables.show(title, head, compared(old[title], new[title]))


def compared(old: Figures, new: Figures) -> Iterator[Sequence[object]]:
    """The figures that both have of one line, with the ratio of the new one to the old."""
    for line in [line for line in new if line in old]:
        for name, value in new[line].items():
            if was := old[line].get(name):
                yield ", ".join(line), name, was, value, value / was


def figures(printed: str) -> dict[str, Figures]:
    """The figures of each table in Markdown, by its title and by what says what a line is of."""
    found: dict[str, dict[Line, dict[str, float]]] = {}
    title, head = "", []
    for text in printed.splitlines():
        if text.startswith("### "):
            title, head = text[4:], []
        elif text.startswith("| "):
            cells = [cell.strip() for cell in text[2:-2].split(" | ")]
            if head:
                line = list(zip(head, cells, strict=False))
                told = tuple(cell for name, cell in line if cell and not _is_figure(name, cell))
                numbers = {name: float(cell.replace(",", "")) for name, cell in line if _is_figure(name, cell)}
                found.setdefault(title, {})[told] = numbers
            else:
                head = cells
    return found


def _is_figure(name: str, cell: str) -> bool:
    return name not in _COUNTS and cell.replace(",", "").replace(".", "", 1).isdigit()


if __name__ == "__main__":
    main()
