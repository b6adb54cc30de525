"""What crosses a call between the gateway and a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deployments.contract import DenseVectors, JoinedVectors, JsonVectors, MultiVectors, SparseVectors, Vectors
from serve_app.inference import find_json

ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)
OFFSETS = np.array([0, 2, 2, 6])
DENSE = DenseVectors(ROWS[:3])
SPARSE = SparseVectors(np.arange(6, dtype=np.uint32), ROWS[:, 0], OFFSETS)
MULTI = MultiVectors(ROWS, OFFSETS)


def plain(vector: Any) -> Any:
    if isinstance(vector, tuple):
        return [plain(part) for part in vector]
    if isinstance(vector, np.ndarray):
        return vector.tolist()
    return vector.indices.tolist(), vector.values.tolist()


@pytest.mark.parametrize("vectors", [DENSE, SPARSE, MULTI, JoinedVectors((DENSE, SPARSE, MULTI))], ids=type)
def test_all_vectors_in_their_order_are_those_one_by_one(vectors: Vectors) -> None:
    each = [plain(vectors[position]) for position in range(3)]
    assert [plain(vector) for vector in vectors] == each
    assert len(vectors) == 3


@pytest.mark.parametrize(
    "vectors", [DENSE, SPARSE, MULTI, DenseVectors(np.arange(8, dtype=np.float32).reshape(2, 4).T)]
)
def test_vectors_that_are_written_stand_in_json_as_others_do(vectors: Vectors) -> None:
    written = JsonVectors([*map(JsonVectors.text, vectors)])
    assert len(written) == len(vectors)
    assert find_json.dump([*written]) == find_json.dump([*vectors])
    assert find_json.dump(written[1]) == find_json.dump(vectors[1])
