"""The gateway of `benchmarks.pipeline` answers each kind of request: what it is made of changes often."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pipeline import worker
from benchmarks.pipeline.kinds import kinds

ROOT = Path(worker.__file__).parents[2]


@pytest.mark.slow
def test_each_kind_is_answered() -> None:
    asked = [json.dumps(("calls", title, 1)) for title in kinds()]
    command = [sys.executable, worker.__file__, str(ROOT)]
    run = subprocess.run(command, input="\n".join(asked), capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert len([line for line in run.stdout.splitlines() if float(line) > 0]) == len(asked)
