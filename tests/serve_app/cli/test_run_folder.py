"""What runs leave: logs of the last few, whether they were stopped or killed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serve_app.cli.run_folder import RunFolder

KILLED = """
import os, signal, sys
from pathlib import Path
from serve_app.cli.run_folder import RunFolder
(RunFolder(Path(sys.argv[1])).path / "token").write_text("x")
os.kill(os.getpid(), signal.SIGKILL)
"""


def started(place: Path) -> RunFolder:
    """A run with the files that each has."""
    run = RunFolder(place)
    logs = run.path / "ray" / "session_1" / "logs"
    logs.mkdir(parents=True)
    (logs / "a.log").write_text("x")
    (run.path / "token").write_text("x")
    (run.path / "ray" / "session_latest").symlink_to("session_1")
    (run.path / "ray" / "session_1" / "sockets").mkdir()
    return run


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_logs_stay_and_nothing_else(tmp_path: Path) -> None:
    run = started(tmp_path)
    run.end()
    run.end()
    assert files(run.path) == {"lock", "ray/session_1/logs/a.log"}


def test_what_has_started_nothing_leaves_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path).end()
    RunFolder(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []


def test_logs_of_the_last_runs_stay(tmp_path: Path) -> None:
    runs = [started(tmp_path) for _ in range(9)]
    for age, run in enumerate(reversed(runs[:-1])):
        run.end()
        os.utime(run.path / "lock", (1e9 - age, 1e9 - age))
    now = started(tmp_path)
    assert set(tmp_path.iterdir()) == {run.path for run in (*runs[3:], now)}
    assert (runs[-1].path / "token").exists()
    runs[-1].end()
    now.end()


def test_what_a_killed_run_left_goes_with_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    (left,) = tmp_path.iterdir()
    assert files(left) == {"lock", "token"}
    other = tmp_path / "qi-of-others"
    other.mkdir()
    (other / "x").write_text("x")
    now = RunFolder(tmp_path)
    assert set(tmp_path.iterdir()) == {now.path, other}
    assert files(other) == {"x"}
    now.end()
