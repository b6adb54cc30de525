"""A model's files as Hugging Face lays them out: `config.json` and `model.safetensors` in one folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # gives numpy the type bfloat16, which safetensors asks it for
import numpy as np
from safetensors import SafetensorError, safe_open

from deployments.contract import Floats
from deployments.errors import ModelError, ModelFilesError

_TENSORS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_FLOATS = ("F32", "F16", "BF16", "F64")
"""What safetensors calls the types that are read here; integers would be quantized weights."""

_PREFIXES = {
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "modernbert": "model",
    "qwen3": "model",
    "gemma3_text": "model",
    "nomic_bert": "bert",
    "gte": "new",
}
"""What stands before the names of a model's tensors, if it is not the model type."""


class Config:
    """The settings of a model."""

    def __init__(self, folder: Path) -> None:
        """Read a folder's `config.json`.

        Raises:
            ModelFilesError: it is missing or damaged.
        """
        self.folder = folder
        self._content = _read_json(folder / "config.json")

    def expect_architecture(self, *known: str) -> None:
        """Make sure that the model is of a type that the caller can build.

        Raises:
            ModelError: it is of another.
        """
        model_type = self._content.get("model_type")
        if model_type not in known:
            raise ModelError(f"{self.folder}: architecture '{model_type}' cannot be run here, only {', '.join(known)}")

    def setting(self, *path: str, default: Any = None) -> Any:
        """A value of `config.json`; several names lead into nested parts.

        Raises:
            ModelError: there is none, and no default.
        """
        value = self._said(*path)
        if value is None:
            value = default
        if value is None:
            raise ModelError(f"{self.folder}: config.json has no '{'.'.join(path)}'")
        return value

    def _said(self, *path: str) -> Any:
        value: Any = self._content
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def expect(self, *path: str, known: Any) -> None:
        """Make sure that a setting is not there, or is the only one that can be run here.

        Raises:
            ModelError: it is another.
        """
        value = self._said(*path)
        if value not in (None, known):
            what = "none" if known is None else f"'{known}'"
            raise ModelError(f"{self.folder}: {'.'.join(path)} '{value}' cannot be run here, only {what}")


class Checkpoint(Config):
    """The settings and tensors of a model.

    Tensors are read from the disk when asked for, so that a part of a model costs no more than that part. Their
    canonical names have no leading `<model type>.`, and a LayerNorm has `weight` and `bias`, never `gamma` and `beta`.
    """

    def __init__(self, folder: Path, beside: Sequence[str] = ()) -> None:
        """Open a folder, whose tensors may be spread over several files with an index.

        `beside` are folders in it with linear layers that belong to the model; the names of their tensors begin with
        that of the folder.

        Raises:
            ModelFilesError: a file is missing or damaged.
        """
        super().__init__(folder)
        model_type = self._content.get("model_type")
        prefix = f"{_PREFIXES.get(str(model_type), model_type)}."
        self._stored = {_canonical(name, prefix): (file, name) for file, name in _tensors(folder)}
        for name in beside:
            self._stored |= {f"{name}.{tensor}": (file, tensor) for file, tensor in _tensors(folder / name)}
        self.beside = beside
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __getitem__(self, name: str) -> Floats:
        """A tensor in float32, whatever type it is stored in, to be read and not written to.

        Raises:
            ModelError: there is none of that name, or it is of no floating-point type.
        """
        file, stored_name = self._find(name)
        dtype = file.get_slice(stored_name).get_dtype()
        if dtype not in _FLOATS:
            raise ModelError(
                f"{self.folder}: tensor '{name}' is of type {dtype}; only {', '.join(_FLOATS)} can be read"
            )
        self._read.add(name)
        tensor: Floats = file.get_tensor(stored_name).astype(np.float32, copy=False)
        return tensor

    def shape(self, name: str) -> list[int]:
        """How large a tensor is.

        Raises:
            ModelError: there is none of that name.
        """
        file, stored_name = self._find(name)
        shape: list[int] = file.get_slice(stored_name).get_shape()
        return shape

    def _find(self, name: str) -> tuple[Any, str]:
        if name not in self._stored:
            raise ModelError(f"{self.folder}: model.safetensors has no tensor '{name}'")
        return self._stored[name]

    def expect_all_read(self, *ignored: str) -> None:
        """Make sure that no tensor was left over, so that none which changes the result is passed over in silence.

        `ignored` are patterns of names that may stay unread (`*` is any number of characters).

        Raises:
            ModelError: names the first of the tensors that nobody has asked for.
        """
        left = sorted(
            name
            for name in self._stored
            if name not in self._read and not any(fnmatchcase(name, pattern) for pattern in ignored)
        )
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ModelError(f"{self.folder}: tensor '{left[0]}'{more}: not known here what the model does with it")


def has_tensors(folder: Path) -> bool:
    """Whether a folder holds a plain checkpoint."""
    return any((folder / name).is_file() for name in (_TENSORS, _INDEX))


def _tensors(folder: Path) -> Iterator[tuple[Any, str]]:
    """Each tensor's open file and name."""
    index = folder / _INDEX
    files = sorted(set(_read_json(index)["weight_map"].values())) if index.is_file() else [_TENSORS]
    try:
        for file in [safe_open(folder / name, framework="numpy") for name in files]:
            names: list[str] = file.keys()  # type: ignore[no-untyped-call]
            yield from ((file, name) for name in names)
    except (OSError, SafetensorError) as error:
        raise ModelFilesError(f"{folder}: {error}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"{path}: {error}") from error


def _canonical(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
