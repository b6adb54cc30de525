"""What the benchmarks of a GPU are made of; without a card and without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.gpu import parity, runs
from benchmarks.gpu.texts import Texts, write_tokenizer
from benchmarks.random_models import Bert, Vit
from deployments.contract import SparseVector


def test_texts_have_the_tokens_that_were_asked_for(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for tokens in (16, 128):
        counts = [len(encoding.ids) for encoding in tokenizer.encode_batch(Texts().of(tokens, 50))]
        assert np.mean(counts) == pytest.approx(tokens, rel=0.02)
        assert len(set(Texts().of(tokens, 50))) == 50
    unknown = tokenizer.token_to_id("[UNK]")
    assert not any(unknown in encoding.ids for encoding in tokenizer.encode_batch(Texts().mixed(50)))


def test_batches_are_as_large_as_the_gateway_makes_them() -> None:
    assert [len(batch) for batch in runs._batches(["a"] * 600)] == [256, 256, 88]
    assert [len(batch) for batch in runs._batches(["a" * 50_000] * 5)] == [2, 2, 1]


def test_the_lowest_cosine_is_that_of_any_row_and_of_sparse_entries_at_any_place() -> None:
    rows = np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)
    assert parity._cosine(rows, np.array([[2.0, 0.0], [1.0, 0.0]], np.float32)) == pytest.approx(0.5**0.5)
    one, other = (SparseVector(np.array(at, np.uint32), np.ones(2, np.float32)) for at in ([3, 5], [5, 9]))
    assert parity._cosine(one, other) == pytest.approx(0.5)
    empty = SparseVector(np.array([], np.uint32), np.array([], np.float32))
    assert (parity._cosine(empty, empty), parity._cosine(empty, one)) == (1.0, 0.0)


def test_operations_are_counted_as_papers_count_them() -> None:
    """BERT base: 85 million weights in its layers, twice each; ViT-B/32 has 4.4 billion products for an image."""
    assert Bert(768, 12).flops(1) == pytest.approx(2 * 85e6, rel=0.01)
    assert Vit(768, 12, 32, 512).flops() == pytest.approx(2 * 4.4e9, rel=0.02)
