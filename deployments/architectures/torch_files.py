"""Tensors in PyTorch's own files (`.pt`, `.bin`), read without running anything that such a file may hold.

A file is a zip with a pickle, which says what tensors there are, and their bytes beside it. A pickle can name any
function of Python and have it called; here it gets none but those that describe tensors. Files of PyTorch before 1.6
are no zips and are refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import ml_dtypes
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from deployments.contract import Floats
from deployments.errors import ModelError, ModelFilesError

_LARGEST = 4 * 1024 * 1024
"""Bytes of the pickle; that of a model with 400 tensors has 50,000."""


@dataclass(frozen=True)
class _Type:
    """The type of a storage's numbers."""

    of: npt.DTypeLike


class _Storage(NamedTuple):
    """Numbers that lie under a name in the zip."""

    name: str
    type: _Type


class _Tensor(NamedTuple):
    """A part of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Named(dict[Any, Any]):
    """Takes the place of an OrderedDict."""


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Named,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _Type(np.float32),
    ("torch", "HalfStorage"): _Type(np.float16),
    ("torch", "BFloat16Storage"): _Type(ml_dtypes.bfloat16),
    ("torch", "DoubleStorage"): _Type(np.float64),
}
"""All that a pickle may name, and what it gets."""


class _Reader(pickle.Unpickler):
    @override
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        known = _KNOWN.get((module_name, global_name))
        if known is None:
            raise ModelError(f"it names {module_name[:100]}.{global_name[:100]}, which is not looked up")
        return known

    @override
    def persistent_load(self, pid: Any) -> _Storage:
        kind, of, name, *_ = pid
        if kind != "storage" or not isinstance(of, _Type):
            raise ModelError("it has something else than numbers")
        return _Storage(str(name), of)


def read(path: Path) -> Mapping[str, Floats]:
    """The tensors of a file by their names, in float32.

    Raises:
        ModelError: it has something else than named tensors of floating-point numbers.
        ModelFilesError: it is missing or damaged, or no zip.
    """
    try:
        with ZipFile(path) as file:
            (listing,) = [entry for entry in file.infolist() if entry.filename.endswith("/data.pkl")]
            folder, found = listing.filename.removesuffix("data.pkl"), _listed(file, listing)
            return {str(name): _numbers(file, folder, tensor) for name, tensor in dict.items(found)}
    except ModelError as error:
        raise ModelError(
            f"{path}: {error}; safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW_FILE) converts it, "
            "where you trust it"
        ) from error
    except (OSError, BadZipFile) as error:
        raise ModelFilesError(f"{path}: {error}") from error
    except Exception as error:  # the pickle or its numbers are damaged, in one of many ways
        raise ModelFilesError(f"{path}: this is no file of tensors by PyTorch 1.6 or later") from error


def _listed(file: ZipFile, listing: ZipInfo) -> dict[Any, Any]:
    if listing.file_size > _LARGEST:
        raise ModelError(f"its pickle has {listing.file_size} bytes; at most {_LARGEST} are read")
    with file.open(listing) as pickled:
        found = _Reader(pickled).load()
    if not isinstance(found, dict):
        raise ModelError("it has something else than named tensors")
    return found


def _numbers(file: ZipFile, folder: str, tensor: Any) -> Floats:
    if not isinstance(tensor, _Tensor):
        raise ModelError("it has something else than named tensors")
    entry = file.getinfo(f"{folder}data/{tensor.storage.name}")
    if entry.compress_type != ZIP_STORED:
        raise ModelError("its numbers are compressed")
    of, shape = np.dtype(tensor.storage.type.of), tensor.shape
    expected = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    if tuple(tensor.strides) != expected:
        raise ModelError("its numbers lie in another order than that of their places")
    numbers = np.frombuffer(file.read(entry), of, int(np.prod(shape)), tensor.offset * of.itemsize)
    return numbers.reshape(shape).astype(np.float32)
