"""What the scripts of this folder share. They run in an environment without this project."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

NAME = "benchmark/all-minilm-l6-v2"
"""What the model is called where it needs a name."""


def folder() -> Path:
    """The folder of the model's files, the scripts' argument."""
    return Path(sys.argv[1])


def measure(embed: Callable[[list[str]], object]) -> None:
    """Time all texts of the input, after a few that do not count, and print how many a second there were."""
    texts = json.load(sys.stdin)
    embed(texts[:32])
    began = time.perf_counter()
    embed(texts)
    print(json.dumps({"texts_per_second": len(texts) / (time.perf_counter() - began)}))
