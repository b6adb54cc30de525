"""Where the time goes, and how many instructions it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_INTERVAL_S = 0.001


@contextmanager
def sampled(tree: Path) -> Iterator[Callable[[], list[tuple[str, bool, float]]]]:
    """Look every millisecond of processor time, or as often as the system can, at the function that runs.

    Unlike a profiler that is called with each call, this makes small functions no dearer. What a library in C does is
    its caller's. Gives a function that tells the shares: the function, whether it is the tree's own, its share.
    """
    seen: Counter[tuple[str, bool]] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[_named(frame, tree)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_S, _INTERVAL_S)
    try:
        yield lambda: [(name, own, count / max(1, seen.total())) for (name, own), count in seen.most_common()]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _named(frame: FrameType, tree: Path) -> tuple[str, bool]:
    code = frame.f_code
    file = Path(code.co_filename)
    if file.is_relative_to(tree) and file.relative_to(tree).parts[0] in {"serve_app", "deployments"}:
        return f"{file.relative_to(tree)}: {code.co_qualname}", True
    return f"{'/'.join(file.parts[-2:])}: {code.co_qualname}", False


@contextmanager
def counted_calls() -> Iterator[Callable[[], int]]:
    """Count the calls of functions, those in C included: the same on every machine, however busy."""
    count = 0

    def called(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(called)
    try:
        yield lambda: count
    finally:
        sys.setprofile(None)


UNDER_CALLGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=callgrind.out.%p")
"""How the worker is started whose instructions are counted; it does not count those of its start."""


def start_counting() -> None:
    """Count instructions from here on."""
    _control("--instr=on")


def counted() -> int:
    """How many there were."""
    _control("--instr=off")
    _control("--dump")
    newest = max(Path.cwd().glob(f"callgrind.out.{os.getpid()}*"), key=lambda file: file.stat().st_mtime_ns)
    totals = [line for line in newest.read_text().splitlines() if line.startswith("totals:")]
    newest.unlink()
    return int(totals[-1].split()[1])


def _control(switch: str) -> None:
    subprocess.run(["callgrind_control", switch, str(os.getpid())], check=True, capture_output=True)
