"""A model's files as Hugging Face lays them out: `config.json` and `model.safetensors` in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # gives numpy the type bfloat16, which safetensors asks it for
import numpy as np
from safetensors import SafetensorError, safe_open

from deployments.contract import Floats
from deployments.errors import ModelError, ModelFilesError


class Checkpoint:
    """The settings and tensors of a model.

    Tensors are read from the disk when asked for, so that a part of a model costs no more than that part. Their
    canonical names have no leading `<model type>.`, and a LayerNorm has `weight` and `bias`, never `gamma` and `beta`.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            ModelFilesError: a file is missing or damaged.
        """
        self.folder = folder
        try:
            self._config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            self._file: Any = safe_open(folder / "model.safetensors", framework="numpy")
        except (OSError, ValueError, SafetensorError) as error:
            raise ModelFilesError(f"{folder}: {error}") from error
        prefix = f"{self._config.get('model_type')}."
        names: list[str] = self._file.keys()  # type: ignore[no-untyped-call]
        self._stored = {_canonical(name, prefix): name for name in names}

    def expect_architecture(self, *known: str) -> None:
        """Make sure that the model is of a type that the caller can build.

        Raises:
            ModelError: it is of another.
        """
        model_type = self._config.get("model_type")
        if model_type not in known:
            raise ModelError(f"{self.folder}: architecture '{model_type}' cannot be run here, only {', '.join(known)}")

    def setting(self, *path: str, default: Any = None) -> Any:
        """A value of `config.json`; several names lead into nested parts.

        Raises:
            ModelError: there is none, and no default.
        """
        value: Any = self._config
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            value = default
        if value is None:
            raise ModelError(f"{self.folder}: config.json has no '{'.'.join(path)}'")
        return value

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __getitem__(self, name: str) -> Floats:
        """A tensor in float32, whatever type it is stored in.

        Raises:
            ModelError: there is none of that name.
        """
        if name not in self._stored:
            raise ModelError(f"{self.folder}: model.safetensors has no tensor '{name}'")
        tensor: Floats = self._file.get_tensor(self._stored[name]).astype(np.float32)
        return tensor


def _canonical(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
