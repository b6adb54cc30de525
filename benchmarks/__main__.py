"""All benchmarks in a short form, one after the other, and at the end one table of what was aimed at and reached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import tables, targets

_SHORT = (
    ("pipeline", "--turns", "6", "--only", "REST", "--profile"),
    ("start",),
    ("idle",),
    ("query_latency", "--seconds", "4", "--concurrency", "1", "16", "64"),
    ("ingest", "--texts", "1920", "--peer-texts", "300"),
    ("mixed", "--seconds", "10"),
    ("images", "--seconds", "4"),
    ("scaling", "--seconds", "2", "--replicas"),
    ("memory", "--seconds", "20"),
)


def main() -> None:
    """Run all; exit status 1 when one of them failed (a target that is missed is no failure)."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "targets.jsonl")
        notes.touch()
        for name, *arguments in _SHORT:
            print(f"\n## benchmarks.{name} {' '.join(arguments)}", flush=True)
            began = time.monotonic()
            command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
            done = subprocess.run(command, env={**os.environ, targets.VARIABLE: str(notes)}, check=False)
            if done.returncode:
                failed.append(name)
            print(f"\n({time.monotonic() - began:.0f} s)", flush=True)
        found = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    rows = [(one["what"], one["reached"], one["target"], "yes" if one["met"] else "no") for one in found]
    tables.show_machine()
    tables.show("What was aimed at", ("figure", "reached", "target", "met"), rows)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
