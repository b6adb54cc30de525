from __future__ import annotations

import numpy as np
import pytest

from deployments.contract import MultiVectors
from deployments.families.pooling import POOLINGS, normalize

HIDDEN = MultiVectors(np.array([[1, 2], [3, 4], [5, 9], [7, 8]], np.float32), np.array([0, 3, 4]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", [[3, 5], [7, 8]]),
        ("cls", [[1, 2], [7, 8]]),
        ("last", [[5, 9], [7, 8]]),
        ("max", [[5, 9], [7, 8]]),
        ("weighted-mean", [[22 / 6, 37 / 6], [7, 8]]),
    ],
)
def test_pooling_gives_a_row_a_text(name: str, expected: list[list[float]]) -> None:
    rows = POOLINGS[name](HIDDEN)
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array(expected), abs=1e-6)


def test_normalized_rows_have_length_one_and_zeros_stay() -> None:
    rows = normalize(np.array([[3, 4], [0, 0]], np.float32))
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
