"""Prints how far this software is from others, as a table in Markdown.

    python -m tests.parity.table

Compares with the stored references, on every provider that this machine has.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deployments.errors import ModelError
from deployments.networks.settings import SessionSettings
from tests.parity.cases import CASES, Case
from tests.parity.exported import export
from tests.parity.ours import ours
from tests.parity.references import stored

_FLOAT32 = [SessionSettings(provider=provider, precision="float32") for provider in ("cpu", "openvino")]
_BFLOAT16 = [SessionSettings(provider="openvino", precision="bfloat16")]
_HEAD = (
    "model",
    "reference",
    "float32, from the checkpoint: largest difference",
    "float32, from an ONNX file: largest difference",
    "bfloat16: lowest cosine",
)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of any two numbers.

    Raises:
        ValueError: there are not as many on both sides.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"{ours.shape} is not {theirs.shape}")
    return float(np.abs(ours - theirs).max())


def lowest_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The lowest cosine of any two vectors; two vectors of nothing but zeros count as equal."""
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(np.where(lengths == 0, 1, (ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-30)).min())


def main() -> None:
    """Print the table."""
    _print(_HEAD)
    _print(["---"] * len(_HEAD))
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(CASES):
            for line in _lines(case, Path(scratch) / str(number)):
                _print(line)


def _print(cells: list[str] | tuple[str, ...]) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")


def _lines(case: Case, scratch: Path) -> Iterator[list[str]]:
    folder = case.folder(scratch / "checkpoint")
    built = _results(case, folder, _FLOAT32)
    exports = "fastembed" in case.libraries
    ready = _results(case, export(case, folder, scratch / "ready"), _FLOAT32) if exports else []
    coarse = [] if case.is_of_words else _results(case, folder, _BFLOAT16)
    for library in case.libraries:
        theirs = stored(library, case)
        differences = [
            f"{max(difference(each, theirs) for each in found):.1e}" if found else "-" for found in (built, ready)
        ]
        cosine = f"{min(lowest_cosine(each, theirs) for each in coarse):.5f}" if coarse else "not on this machine"
        yield [case.name, library, *differences, cosine]


def _results(case: Case, folder: Path, ways: list[SessionSettings]) -> list[np.ndarray]:
    """This software's results in those ways that this machine has."""
    found = []
    for settings in ways:
        try:
            found.append(ours(case, folder, settings))
        except ModelError:  # no such provider or precision here
            continue
    return found


if __name__ == "__main__":
    main()
