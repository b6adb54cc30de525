"""What does the gateway's own code cost a request, and how does it compare with another commit's?

The pipeline alone in one process, without Ray, with models and a Qdrant that answer at once. The two trees take turns
of a few hundredths of a second, and of each the cheapest turn counts: other programs on the machine can only make a
turn dearer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import tables, targets
from benchmarks.pipeline import profiling
from benchmarks.trees import OLD, THIS, tree_of

HERE = Path(__file__).resolve().parent
_TURN_S = 0.05
_PROFILE_S = 2.0
_TARGETS = {"REST text query": 0.33, "REST raw query": 0.6, "REST upsert of 1000": 0.5}
"""Of the old commit's processor time."""


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default=OLD, help="the commit that is compared with this tree")
    parser.add_argument("--turns", type=int, default=12, help="of each tree for each kind of request")
    parser.add_argument("--only", default="", help="kinds of requests that have this in their titles")
    parser.add_argument("--profile", nargs="*", default=["REST text query", "REST upsert of 1000", "gRPC text query"])
    parser.add_argument("--instructions", action="store_true", help="count instructions, too (minutes; needs valgrind)")
    asked = parser.parse_args()
    titles = [title for title in _titles() if asked.only in title]
    tables.show_machine()
    with ExitStack() as stack:
        old = Worker(stack.enter_context(tree_of(asked.against)))
        new = Worker(THIS)
        _show_times(titles, old, new, asked.turns, asked.against)
        for title in asked.profile:
            _show_profile(title, new)
        if asked.instructions:
            _show_instructions(titles, *(Worker(worker.tree, profiling.UNDER_CALLGRIND) for worker in (old, new)))


class Worker:
    """The process that runs one tree's gateway."""

    def __init__(self, tree: Path, before: Sequence[str] = ()) -> None:
        self.tree = tree
        self._process: Any = subprocess.Popen(
            [*before, sys.executable, str(HERE / "worker.py"), str(tree)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tempfile.gettempdir(),
        )  # fmt: skip

    def do(self, what: str, title: str, count: int) -> Any:
        """See `worker`."""
        self._process.stdin.write(json.dumps([what, title, count]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _titles() -> list[str]:
    names = ["raw query", "text query", "text query, 64 at a time", "hybrid query"]
    names += [f"upsert of {count}" for count in (1, 10, 100, 1000)] + ["hybrid upsert of 100"]
    return [f"{protocol} {name}" for protocol in ("REST", "gRPC") for name in names]


def _show_times(titles: Sequence[str], old: Worker, new: Worker, turns: int, commit: str) -> None:
    def rows() -> Iterator[Sequence[object]]:
        for title in titles:
            before, after = _fastest(title, old, new, turns)
            calls = [worker.do("calls", title, 2) for worker in (old, new)]
            yield title, before * 1e3, after * 1e3, after / before, *(f"{count:,.0f}" for count in calls)
            if title in _TARGETS:
                targets.at_most(f"own code, {title}, to {commit}", after / before, _TARGETS[title])

    head = ("request", f"{commit}, ms", "this tree, ms", "ratio", f"{commit}, calls", "this tree, calls")
    tables.show("Processor time of a request, and calls of functions", head, rows())


def _fastest(title: str, old: Worker, new: Worker, turns: int) -> tuple[float, float]:
    """Seconds for a request of each tree, in the turn in which it took least."""
    seconds = max(worker.do("time", title, 1) for worker in (old, new) for _ in range(2))
    count = 64 * -(-round(_TURN_S / seconds) // 64) if seconds < _TURN_S / 2 else 1
    times = [[worker.do("time", title, count) for worker in (old, new)] for _ in range(turns)]
    before, after = (min(column) for column in zip(*times, strict=True))
    return before, after


def _show_profile(title: str, worker: Worker) -> None:
    """The ten costliest functions; those of libraries apart."""
    seconds = worker.do("time", title, 8)
    shares = worker.do("profile", title, max(8, round(_PROFILE_S / seconds)))
    own = sum(share for _, is_own, share in shares if is_own)
    rows = [(name, "own" if is_own else "library", share * 100) for name, is_own, share in shares]
    rows = [row for kind in ("own", "library") for row in [one for one in rows if one[1] == kind][:10]]
    tables.show(f"{title}: where the time goes (own code {own:.0%})", ("function", "whose", "%"), rows)


def _show_instructions(titles: Sequence[str], old: Worker, new: Worker) -> None:
    rows = []
    for title in titles:
        count = 2 if "1000" in title else 64
        before, after = (worker.do("instructions", title, count) / 1e3 for worker in (old, new))
        rows.append((title, before, after, after / before))
    tables.show("Thousands of instructions of a request", ("request", "before", "this tree", "ratio"), rows)


if __name__ == "__main__":
    main()
