from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Direction, Embeddings, MultiVectors
from deployments.errors import ModelError
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from tests.support import tiny

TEXTS = ["the capital of Paris", "", "vectors, and text!", "is " * 41]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colbert")
    words = tiny.word_pieces().get_vocab_size()
    tiny.word_pieces().save(str(folder / "tokenizer.json"))
    projection = tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)
    return tiny.write(folder, tiny.bert_tensors(words) | {"linear.weight": projection}, vocab_size=words)


def embed(
    folder: Path, texts: list[str], direction: Direction = "update", budget: int = 64, **fields: Any
) -> Embeddings:
    family = load_family(card(**fields), folder, SessionSettings(provider="cpu"))
    return in_process.embed(family, Batch(texts, direction), budget)


def card(markers: dict[str, Any] | None = None, **fields: Any) -> ModelCard:
    plain = {
        "name": "tiny",
        "family": "late-interaction",
        "dimensions": tiny.PROJECTION,
        "context_window": tiny.POSITIONS,
        "markers": {"query": 1, "document": 2, "query_length": 12} | (markers or {}),
        "licence": "none",
        "model_card_url": "none",
        "sources": [{"folder": ".", "files": {"config.json": {}}}],
    }
    return ModelCard.model_validate(plain | fields)


def test_queries_are_filled_up_to_their_length_and_longer_ones_keep_all_tokens(folder: Path) -> None:
    embeddings = embed(folder, TEXTS, "search")
    assert embeddings.tokens.tolist() == [12, 12, 12, 44]
    assert [len(embeddings.vectors[position]) for position in range(4)] == embeddings.tokens.tolist()


def test_documents_have_a_vector_for_each_token_but_punctuation(folder: Path) -> None:
    embeddings = embed(folder, TEXTS)
    counts = [len(embeddings.vectors[position]) for position in range(4)]
    assert embeddings.tokens[2] - counts[2] == 2
    assert counts[1] == 3, "[CLS], the marker and [SEP]"
    assert [len(embed(folder, [string.punctuation]).vectors[0])] == [3]


def test_punctuation_counts_where_the_model_says_so(folder: Path) -> None:
    embeddings = embed(folder, TEXTS, markers={"skip_punctuation": False})
    assert [len(embeddings.vectors[position]) for position in range(4)] == embeddings.tokens.tolist()


def test_markers_take_a_token_of_the_context_window(folder: Path) -> None:
    embeddings = embed(folder, ["is " * 200], "search")
    assert embeddings.tokens.tolist() == [tiny.POSITIONS]
    assert embeddings.truncated == 1


def test_each_vector_has_length_one(folder: Path) -> None:
    vectors = embed(folder, TEXTS).vectors
    assert isinstance(vectors, MultiVectors)
    assert np.linalg.norm(vectors.rows, axis=1) == pytest.approx(1)
    assert np.linalg.norm(embed(folder, TEXTS, normalize=False).vectors[0], axis=1).std() > 0.1


def test_the_marker_tells_queries_from_documents(folder: Path) -> None:
    document, query = (embed(folder, TEXTS[:1], direction).vectors[0] for direction in ("update", "search"))
    assert np.abs(document[:6] - query[:6]).max() > 0.01
    same = embed(folder, TEXTS[:1], "search", markers={"query": 2}).vectors[0]
    assert np.abs(document[:6] - same[:6]).max() < 1e-5, "mask tokens are not attended to"


def test_a_tokenizer_without_a_mask_token_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    text = (folder / "tokenizer.json").read_text().replace("[MASK]", "[BLANK]")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match="no mask token"):
        embed(tmp_path, TEXTS)
