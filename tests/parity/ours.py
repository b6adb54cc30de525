"""What this software makes of a case: one array a case, to be compared as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deployments.contract import Batch, JoinedVectors, SparseVector, Vector, Vectors
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from tests.parity.cases import Case

ENTRIES = 1 << 15
"""Sparse vectors become rows of this many entries, more than any vocabulary here has."""

_HALF = 16
"""Bits of a number up to 2^31 that float32 holds exactly."""


class Embed(Protocol):
    """Embeds inputs within a budget of tokens."""

    def __call__(self, inputs: Sequence[Any], budget: int = 1024) -> Vectors: ...


def load(case: Case, folder: Path, settings: SessionSettings) -> Embed:
    """The case's model."""
    family = load_family(case.card, folder, settings)

    def embed(inputs: Sequence[Any], budget: int = 1024) -> Vectors:
        batch = Batch(list(inputs), case.direction, kinds=(case.kind,) if case.kind else ())
        vectors = in_process.embed(family, batch, budget).vectors
        return vectors.parts[0] if isinstance(vectors, JoinedVectors) else vectors

    return embed


def ours(case: Case, folder: Path, settings: SessionSettings) -> np.ndarray:
    """The case's result."""
    vectors = load(case, folder, settings)(case.inputs)
    return np.concatenate([as_rows(case, vectors[position]) for position in range(len(vectors))])


def as_rows(case: Case, vector: Vector) -> np.ndarray:
    """A dense vector `[1, dimensions]`, a sparse one `[1, ENTRIES]`, a multivector `[tokens, dimensions]`.

    Of words, a row an entry, behind how many there are.
    """
    if isinstance(vector, SparseVector) and case.is_of_words:
        return by_entry(vector.indices, vector.values)
    if isinstance(vector, SparseVector):
        row = np.zeros((1, ENTRIES), np.float32)
        row[0, vector.indices] = vector.values
        return row
    return np.atleast_2d(vector)


def by_entry(indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A sparse vector, float32 `[1 + entries, 3]`: the halves of an index and its value, behind how many there are."""
    order = np.argsort(indices)
    high, low = np.divmod(indices[order], 1 << _HALF)
    return np.concatenate([[[len(indices), 0, 0]], np.stack([high, low, values[order]], axis=1)]).astype(np.float32)
