"""Float16 on the card against float32 on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deployments.contract import Batch, SparseVector, Vector
from deployments.families.protocol import Family


def lowest_cosine(on_card: Family, on_cpu: Family, inputs: Sequence[Any]) -> float:
    """Of the vectors of these inputs, those of single tokens too; inputs run together on the card, alone on the CPU."""
    cosines: list[float] = []
    for direction in ("update", "search"):
        batch = Batch(inputs, direction)  # type: ignore[arg-type]
        found = on_card.run(on_card.prepare(batch), np.arange(len(inputs)))
        prepared = on_cpu.prepare(batch)
        for place in range(len(inputs)):
            expected = on_cpu.run(prepared, np.array([place]))[0]
            cosines.append(_cosine(found[place], expected))
    return min(cosines)


def _cosine(one: Vector, other: Vector) -> float:
    if isinstance(one, SparseVector) and isinstance(other, SparseVector):
        if not len(one.indices) or not len(other.indices):
            return float(len(one.indices) == len(other.indices))
        size = 1 + int(max(one.indices.max(initial=0), other.indices.max(initial=0)))
        one, other = _spread(one, size), _spread(other, size)
    rows, others = (np.atleast_2d(np.asarray(vector, np.float64)) for vector in (one, other))
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return float(((rows * others).sum(axis=1) / lengths).min())


def _spread(vector: SparseVector, size: int) -> np.ndarray[Any, Any]:
    wide = np.zeros(size, np.float32)
    wide[vector.indices] = vector.values
    return wide
