"""Postings of sparse vectors: which rows hold an index, and with what value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qdrant_client.http.models import SparseVector


class SparseIndex:
    """Scores all rows of one sparse vector name by the postings of the query alone.

    Local mode walks every entry of every row in Python for each query: 0.3 s at ten thousand rows.
    """

    def __init__(self) -> None:
        self._rows: list[SparseVector | None] = []
        self._postings: defaultdict[int, dict[int, float]] = defaultdict(dict)

    def follow(self, rows: Sequence[SparseVector]) -> None:
        """Take over what has changed in `rows` since the last call; rows are replaced, never changed in place."""
        self._rows.extend([None] * (len(rows) - len(self._rows)))
        for number, (old, new) in enumerate(zip(self._rows, rows, strict=True)):
            if old is not new:
                self._replace(number, old, new)

    def _replace(self, number: int, old: SparseVector | None, new: SparseVector) -> None:
        for index in old.indices if old else ():
            del self._postings[index][number]
        for index, value in zip(new.indices, new.values, strict=True):
            self._postings[index][number] = value
        self._rows[number] = new

    def scores(self, query: SparseVector) -> npt.NDArray[np.float32]:
        """Dot products with all rows, float32 `[rows]`; minus infinity where a row shares no index with the query."""
        sums = np.zeros(len(self._rows))
        met = np.zeros(len(self._rows), dtype=bool)
        for index, weight in zip(query.indices, query.values, strict=True):
            postings = self._postings.get(index)
            if postings:
                rows = np.fromiter(postings.keys(), dtype=np.int64, count=len(postings))
                sums[rows] += weight * np.fromiter(postings.values(), dtype=np.float64, count=len(postings))
                met[rows] = True
        return np.where(met, sums, -np.inf).astype(np.float32)
