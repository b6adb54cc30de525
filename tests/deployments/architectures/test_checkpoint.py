from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from deployments.architectures.checkpoint import Checkpoint, has_tensors
from deployments.errors import ModelError, ModelFilesError
from tests.support import tiny

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


def test_tensors_may_be_spread_over_several_files(tmp_path: Path) -> None:
    tiny.write(tmp_path, {})
    (tmp_path / "model.safetensors").unlink()
    for number in (1, 2):
        save_file({f"weight.{number}": VALUES * number}, tmp_path / f"model-{number}.safetensors")
    weights = {f"weight.{number}": f"model-{number}.safetensors" for number in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    assert has_tensors(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    assert (checkpoint["weight.1"] == VALUES).all()
    assert (checkpoint["weight.2"] == VALUES * 2).all()


def test_quantized_tensors_are_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, {"weight": VALUES.astype(np.int8)}))
    with pytest.raises(ModelError, match="tensor 'weight' is of type I8; only F32, F16, BF16, F64 can be read"):
        checkpoint["weight"]


def test_a_tensor_that_nobody_has_read_is_named_unless_it_may_be_ignored(tmp_path: Path) -> None:
    names = ("adapter.down", "adapter.up", "pooler.dense.weight", "encoder.weight")
    checkpoint = Checkpoint(tiny.write(tmp_path, dict.fromkeys(names, VALUES)))
    checkpoint["encoder.weight"]
    with pytest.raises(ModelError, match=r"tensor 'adapter\.down' and 1 more: not known here"):
        checkpoint.expect_all_read("pooler.*")
    checkpoint.expect_all_read("pooler.*", "adapter.*")


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
