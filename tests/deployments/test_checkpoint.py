from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from deployments.checkpoint import Checkpoint
from deployments.errors import ModelError, ModelFilesError
from tests.deployments import tiny

VALUES = np.array([[0.5, -1.25], [3.0, 0.0]], np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_tensors_come_in_float32_whatever_they_are_stored_in(tmp_path: Path, dtype: type) -> None:
    tensor = Checkpoint(tiny.write(tmp_path, {"weight": VALUES.astype(dtype)}))["weight"]
    assert tensor.dtype == np.float32
    assert (tensor == VALUES).all()


@pytest.mark.parametrize(
    ("stored", "canonical"),
    [
        ("bert.pooler.dense.weight", "pooler.dense.weight"),
        ("pooler.dense.weight", "pooler.dense.weight"),
        ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        ("embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"),
        ("cls.bert.weight", "cls.bert.weight"),
    ],
)
def test_tensors_have_canonical_names(tmp_path: Path, stored: str, canonical: str) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {stored: VALUES}))
    assert canonical in checkpoint
    assert (checkpoint[canonical] == VALUES).all()


def test_a_tensor_that_is_not_there_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {"weight": VALUES}))
    with pytest.raises(ModelError, match=r"model\.safetensors has no tensor 'encoder\.weight'"):
        checkpoint["encoder.weight"]


def test_a_setting_that_is_not_there_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {}, text_config={"hidden_size": 4}))
    assert checkpoint.setting("text_config", "hidden_size") == 4
    assert checkpoint.setting("absent", default=1) == 1
    with pytest.raises(ModelError, match=r"config\.json has no 'text_config\.heads'"):
        checkpoint.setting("text_config", "heads")


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {}, model_type="mamba"))
    with pytest.raises(ModelError, match="architecture 'mamba' cannot be run here, only bert"):
        checkpoint.expect_architecture("bert")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_an_error_of_the_files(tmp_path: Path, name: str) -> None:
    tiny.write(tmp_path, {"weight": VALUES})
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ModelFilesError, match=str(tmp_path)):
        Checkpoint(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelFilesError, match=str(tmp_path)):
        Checkpoint(tmp_path)
