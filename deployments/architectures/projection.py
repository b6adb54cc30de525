"""The `Dense` modules of sentence-transformers: linear layers of their own folders, behind a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deployments.architectures.checkpoint import Checkpoint
from deployments.contract import Floats
from deployments.errors import ModelError

_ACTIVATIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "Identity": lambda rows: rows,
    "Tanh": np.tanh,
    "ReLU": lambda rows: np.maximum(rows, 0),
}
"""By the names of PyTorch's classes."""


@dataclass(frozen=True)
class Projection:
    """A linear layer: `weight` float32 `[out, in]`, `bias` float32 `[out]`."""

    weight: Floats
    bias: Floats
    activation: str

    def __call__(self, rows: Floats) -> Floats:
        """Rows `[n, in]` as `[n, out]`."""
        return _ACTIVATIONS[self.activation](rows @ self.weight.T + self.bias)


def activation_of(settings: Mapping[str, Any], where: str) -> str:
    """The activation of a `Dense` module by its settings.

    Raises:
        ModelError: it is none that is known here.
    """
    name = str(settings.get("activation_function") or "Tanh").rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ModelError(f"{where}: activation_function '{name}' cannot be run here, only {', '.join(_ACTIVATIONS)}")
    if settings.get("use_residual"):
        raise ModelError(f"{where}: 'use_residual: true' cannot be run here")
    return name


def read(folder: Path) -> Projection:
    """Read a module's folder.

    Raises:
        ModelError: its layer is of a kind that is not known here.
        ModelFilesError: a file is missing or damaged.
    """
    files = Checkpoint(folder)
    weight = files["linear.weight"]
    bias = files["linear.bias"] if "linear.bias" in files else np.zeros(len(weight), np.float32)
    files.expect_all_read()
    activation = activation_of({"activation_function": files.setting("activation_function")}, f"{folder}/config.json")
    return Projection(weight, bias, activation)
