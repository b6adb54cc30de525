"""References: what other software makes of the cases, live where it is installed, and as it was stored here.

    python -m tests.parity.references

stores it anew, and with names of models behind it (`random/bm42`) theirs alone. The stored file was made with Python
3.11, torch 2.15.0, transformers 5.24.0, sentence-transformers 6.2.0, fastembed 0.9.1 (on onnxruntime 1.24.1; of models
of words 1.32.0) and numpy 2.4.6, on a CPU, in float32.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tests.parity.cases import CASES, Case
from tests.parity.exported import export

LIBRARIES = ("transformers", "fastembed")
_NEEDED = {"transformers": ("torch", "transformers", "sentence_transformers"), "fastembed": ("fastembed",)}
_FILE = Path(__file__).parent / "references.npz"


def absent(library: str) -> list[str]:
    """The modules that are not installed of those that a library needs."""
    return [module for module in _NEEDED[library] if find_spec(module) is None]


def live(library: str, case: Case, folder: Path, scratch: Path) -> np.ndarray:
    """What a library makes of a case now; `scratch` is where fastembed's ONNX file is written, a new folder."""
    theirs: Callable[[Case, Path], np.ndarray] = import_module(f"tests.parity.by_{library}").theirs
    return theirs(case, folder if library == "transformers" else export(case, folder, scratch))


@cache
def _stored() -> dict[str, np.ndarray]:
    with np.load(_FILE) as arrays:
        return dict(arrays)


def stored(library: str, case: Case) -> np.ndarray:
    """What a library made of a case when the references were stored."""
    return _stored()[f"{library} {case.name}"]


def main() -> None:
    """Store the references of all cases, or those of the named ones anew."""
    named = sys.argv[1:]
    arrays: dict[str, Any] = {**_stored()} if named else {}
    with tempfile.TemporaryDirectory() as name:
        for number, case in enumerate(case for case in CASES if not named or case.card.name in named):
            folder = case.folder(Path(name) / f"{number}")
            for library in case.libraries:
                made = live(library, case, folder, Path(name) / f"{number}-{library}")
                arrays[f"{library} {case.name}"] = made.astype(np.float32)
    np.savez_compressed(_FILE, **arrays)


if __name__ == "__main__":
    main()
