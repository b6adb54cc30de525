from __future__ import annotations

import numpy as np
import pytest

from deployments.families.pooling import POOLINGS, normalize

HIDDEN = np.array([[[1, 2], [3, 4], [5, 9]], [[7, 8], [-100, 100], [50, 50]]], np.float32)
LENGTHS = np.array([3, 1], np.int32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean", [[3, 5], [7, 8]]), ("cls", [[1, 2], [7, 8]]), ("last", [[5, 9], [7, 8]])],
)
def test_pooling_reads_no_padding(name: str, expected: list[list[float]]) -> None:
    rows = POOLINGS[name](HIDDEN, LENGTHS)
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array(expected), abs=1e-6)


def test_normalized_rows_have_length_one_and_zeros_stay() -> None:
    rows = normalize(np.array([[3, 4], [0, 0]], np.float32))
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
