"""A ready file that has adapters, such as that of Jina's embeddings v3, is told which one a text is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Direction
from deployments.errors import ModelError
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from tests.support import own_model

FIELDS: dict[str, Any] = {
    "name": "ours", "family": "dense", "dimensions": 1, "context_window": 8, "pooling": "mean", "normalize": False,
    "licence": "none", "model_card_url": "none", "task_ids": {"query": 3, "passage": 5},
}  # fmt: skip


def card(folder: Path) -> ModelCard:
    return ModelCard.model_validate({**FIELDS, "sources": [{"folder": str(folder), "files": {}}]})


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A file whose hidden states are the number of the task."""
    own_model.write_tokenizer(tmp_path)
    kind = TensorProto
    nodes = [
        helper.make_node("Sub", ["input_ids", "input_ids"], ["zeros"]),
        helper.make_node("Add", ["zeros", "task_id"], ["numbers"]),
        helper.make_node("Unsqueeze", ["numbers", "last"], ["deep"]),
        helper.make_node("Cast", ["deep"], ["hidden"], to=kind.FLOAT),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", kind.INT64, ["batch", "tokens"]),
        helper.make_tensor_value_info("task_id", kind.INT64, []),
    ]
    output = [helper.make_tensor_value_info("hidden", kind.FLOAT, ["batch", "tokens", 1])]
    graph = helper.make_graph(nodes, "tasks", inputs, output, [helper.make_tensor("last", kind.INT64, [1], [2])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path


@pytest.mark.parametrize(("direction", "task"), [("search", 3), ("update", 5)])
def test_texts_that_search_and_those_that_are_stored_have_tasks_of_their_own(
    ready: Path, direction: Direction, task: int
) -> None:
    family = load_family(card(ready), ready, SessionSettings(provider="cpu"))
    prepared = family.prepare(Batch(["a b", "c d e"], direction))
    vectors = family.run(prepared, np.arange(2))
    assert isinstance(vectors, DenseVectors)
    assert vectors.rows.tolist() == [[task], [task]]


def test_a_file_that_wants_a_task_is_refused_if_none_is_given(ready: Path) -> None:
    with pytest.raises(ModelError, match="the ONNX file reads 'task_id', which is not known here"):
        load_family(card(ready).model_copy(update={"task_ids": None}), ready, SessionSettings(provider="cpu"))


def test_a_checkpoint_has_no_tasks(tmp_path: Path) -> None:
    own_model.write(tmp_path)
    with pytest.raises(ModelError, match="ours: task_ids are for a ready ONNX file, and this is a checkpoint"):
        load_family(card(tmp_path), tmp_path, SessionSettings(provider="cpu"))
