"""Small models of every architecture and head that is built here, with random weights: what a card makes of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployments.catalogue.card import ModelCard
from tests.support import tiny
from tests.support.architectures import ARCHITECTURES

_HEADS: dict[str, dict[str, Any]] = {
    "bert": {},
    "bert, first token": {"pooling": "cls"},
    "bert, last token": {"pooling": "last"},
    "bert, maximum": {"pooling": "max"},
    "bert, weighted mean": {"pooling": "weighted-mean"},
    "SPLADE": {"family": "sparse", "dimensions": None, "pooling": None},
    "ColBERT": {
        "family": "late-interaction",
        "dimensions": tiny.PROJECTION,
        "pooling": None,
        "markers": {"query": 1, "document": 2, "query_length": 32},
    },
}


def written(folder: Path) -> Iterator[tuple[str, Path, ModelCard]]:
    """Their names, folders and cards, each written as it is asked for."""
    words = tiny.word_pieces().get_vocab_size()
    for name, make in ARCHITECTURES.items():
        path = _begun(folder, name)
        tiny.write_as(path, *make(words))
        yield name, path, tiny.card()
    for name, fields in _HEADS.items():
        path, tensors = _begun(folder, name), tiny.bert_tensors(words)
        if name == "SPLADE":
            tensors |= tiny.masked_language_head(words)
        if name == "ColBERT":
            tensors["linear.weight"] = tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)
        tiny.write(path, tensors, vocab_size=words)
        yield name, path, tiny.card(**fields)


def _begun(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    tiny.word_pieces().save(str(path / "tokenizer.json"))
    return path
