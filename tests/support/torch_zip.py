"""Writes tensors as PyTorch does, without PyTorch."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np

_EMPTY = b"ccollections\nOrderedDict\n)R"


def save(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """A file with the state of a module, in float32."""
    with ZipFile(path, "w", ZIP_STORED) as file:
        entries = [_text(name) + _tensor(str(key), tensor) for key, (name, tensor) in enumerate(tensors.items())]
        file.writestr(f"{path.stem}/data.pkl", b"\x80\x02" + _EMPTY + b"(" + b"".join(entries) + b"u.")
        file.writestr(f"{path.stem}/version", "3\n")
        for key, tensor in enumerate(tensors.values()):
            file.writestr(f"{path.stem}/data/{key}", tensor.astype(np.float32).tobytes())


def _tensor(key: str, tensor: np.ndarray) -> bytes:
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu") + _number(tensor.size)
    strides = tuple(step // tensor.itemsize for step in tensor.strides)
    shape = b"".join(_numbers(part) for part in (tensor.shape, strides))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + _number(0) + shape + b"\x89" + _EMPTY + b"tR"


def _numbers(numbers: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_number, numbers)) + b"t"


def _number(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()
