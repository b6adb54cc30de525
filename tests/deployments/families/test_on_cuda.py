"""The families with the graphs that CUDA gets, run by a reference in numpy; against the CPU's."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Direction, Embeddings, SparseVector
from deployments.families.loading import load_family
from deployments.families.protocol import Family
from deployments.networks.ragged import Ragged
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from tests.support import tiny, word_models

TEXTS = ["the capital of Paris", "", "vectors, and text!", "is " * 41, "of", "巴黎 is the capital"]
COLBERT = {
    "family": "late-interaction",
    "dimensions": tiny.PROJECTION,
    "pooling": None,
    "markers": {"query": 1, "document": 2, "query_length": 12},
}
SPARSE = {"family": "sparse", "dimensions": None, "pooling": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with all heads, each of which the loader reads if it asks for it."""
    folder = tmp_path_factory.mktemp("bert")
    words = tiny.word_pieces().get_vocab_size()
    tiny.word_pieces().save(str(folder / "tokenizer.json"))
    tiny.write(folder, tiny.bert_tensors(words) | tiny.masked_language_head(words), vocab_size=words)
    dense = folder / "2_Dense"
    dense.mkdir()
    (dense / "config.json").write_text('{"activation_function": "torch.nn.modules.activation.Tanh"}')
    word_models.add_meanings(folder, tiny.HIDDEN)
    save_file(tiny.Weights().linear("linear", tiny.PROJECTION, tiny.HIDDEN), dense / "model.safetensors")
    return folder


def card(**fields: Any) -> ModelCard:
    return tiny.card(**fields)


def embed(family: Family, direction: Direction, budget: int = 64) -> Embeddings:
    return in_process.embed(family, Batch(TEXTS, direction), budget)


@pytest.mark.parametrize("direction", ["update", "search"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pooling": "cls", "normalize": False},
        {"projections": ["2_Dense"], "dimensions": tiny.PROJECTION},
        COLBERT | {"projections": ["2_Dense"]},
        COLBERT | {"projections": ["2_Dense"], "normalize": False},
        SPARSE,
        SPARSE | {"log_twice": True},
        SPARSE | {"family": "minicoil"},
    ],
    ids=[
        "dense",
        "not-normalized",
        "projected",
        "colbert",
        "colbert-not-normalized",
        "splade",
        "log-twice",
        "minicoil",
    ],
)
def test_ragged_texts_give_the_same_vectors(
    folder: Path, on_cuda: AbstractContextManager[None], fields: dict[str, Any], direction: Any
) -> None:
    with on_cuda:
        ragged = load_family(card(**fields), folder, SessionSettings())
    assert isinstance(ragged.prepare(Batch(TEXTS, direction)).layout, Ragged)
    found = embed(ragged, direction)
    expected = embed(load_family(card(**fields), folder, SessionSettings(provider="cpu")), direction)
    assert type(found.vectors) is type(expected.vectors)
    for place in range(len(TEXTS)):
        one, other = found.vectors[place], expected.vectors[place]
        if isinstance(one, SparseVector):
            assert isinstance(other, SparseVector)
            assert one.indices.tolist() == other.indices.tolist()
            assert one.values == pytest.approx(other.values, abs=2e-5)
        else:
            assert one == pytest.approx(other, abs=2e-5)
