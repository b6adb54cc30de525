"""PyTorch's files are read, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from deployments.architectures.torch_files import read
from deployments.errors import ModelError, ModelFilesError
from tests.support import torch_zip

REAL = Path(__file__).parents[2] / "data" / "linear.pt"
"""`torch.save(torch.nn.Linear(3, 2).state_dict(), ...)` of torch 2.15.0, after `torch.manual_seed(0)`."""


def test_a_file_of_pytorch_is_read() -> None:
    tensors = read(REAL)
    assert tensors["weight"] == pytest.approx(
        np.array([[-0.0043, 0.3097, -0.4752], [-0.4249, -0.2224, 0.1548]]), abs=5e-5
    )
    assert tensors["bias"].shape == (2,)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}


def test_what_the_tests_write_is_read(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    torch_zip.save(tmp_path / "linear.pt", {"weight": weight})
    assert read(tmp_path / "linear.pt")["weight"].tolist() == weight.tolist()


class Command:
    """Calls something when it is read by a plain unpickler."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._call = call, arguments

    def __reduce__(self) -> Any:
        return self._call


def pickled(path: Path, content: Any, compression: int = 0) -> Path:
    with ZipFile(path, "w", compression) as file:
        file.writestr("x/data.pkl", content if isinstance(content, bytes) else pickle.dumps(content, 2))
    return path


@pytest.mark.parametrize("call", [os.mkdir, eval, pickle.loads, getattr])
def test_no_function_is_called_and_none_looked_up(tmp_path: Path, call: Callable[..., Any]) -> None:
    path = pickled(tmp_path / "evil.pt", {"weight": Command(call, str(tmp_path / "made"))})
    with pytest.raises(ModelError, match="which is not looked up; safetensors"):
        read(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"weight": 3}, "something else than named tensors"),
        ([1, 2], "something else than named tensors"),
        (b"\x80\x02ctorch\nLongStorage\n.", "torch.LongStorage"),
        (b"\x80\x02" + b"N" * (5 * 1024 * 1024), "at most 4194304 are read"),
    ],
)
def test_what_is_no_tensor_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        read(pickled(tmp_path / "odd.pt", content, ZIP_DEFLATED))


@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"\x80\x02K\x01Q."])
def test_a_damaged_pickle_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelFilesError, match=r"odd\.pt: this is no file of tensors"):
        read(pickled(tmp_path / "odd.pt", content))


def test_a_file_that_is_no_zip_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "old.pt").write_bytes(b"\x80\x02}q.")
    for name in ("old.pt", "absent.pt"):
        with pytest.raises(ModelFilesError, match=name):
            read(tmp_path / name)


def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    whole = REAL.read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFilesError, match=r"cut\.pt"):
        read(tmp_path / "cut.pt")


def test_numbers_in_another_order_are_refused(tmp_path: Path) -> None:
    torch_zip.save(tmp_path / "turned.pt", {"weight": np.zeros((3, 2), np.float32).T})
    with pytest.raises(ModelError, match="in another order"):
        read(tmp_path / "turned.pt")
