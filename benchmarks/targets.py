"""What a benchmark reached of what was aimed at. `python -m benchmarks` gathers all of it into one table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "BENCHMARK_TARGETS"
"""Names the file into which benchmarks write a line for each target; without it they do not."""


def at_most(what: str, reached: float, target: float) -> None:
    """Note a figure that should not be above `target`."""
    _note({"what": what, "reached": reached, "target": f"at most {target:g}", "met": reached <= target})


def at_least(what: str, reached: float, target: float) -> None:
    """Note a figure that should not be below `target`."""
    _note({"what": what, "reached": reached, "target": f"at least {target:g}", "met": reached >= target})


def missing(what: str, why: str) -> None:
    """Note a figure that is not there."""
    _note({"what": what, "reached": why, "target": "", "met": False})


def _note(target: dict[str, Any]) -> None:
    if VARIABLE in os.environ:
        with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(target) + "\n")
