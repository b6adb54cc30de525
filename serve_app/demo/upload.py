"""Many points into a collection: a few requests at a time, with the time and the tokens that they took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from qdrant_client import QdrantClient, models

BATCH = 64
IN_FLIGHT = 4

T = TypeVar("T")


@dataclass(frozen=True)
class Receipt:
    """What an upload took: seconds from its first request to its last answer, and tokens by model as answered."""

    points: int
    seconds: float
    tokens: Counter[str]


def upload(
    client: QdrantClient, collection: str, points: Sequence[models.PointStruct], progress: Callable[[int], None]
) -> Receipt:
    """Write all points; `progress` is called with the number of points of each request that is done."""
    began = time.monotonic()
    tokens: Counter[str] = Counter()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        sizes = {pool.submit(_upsert, client, collection, batch): len(batch) for batch in batches(points, BATCH)}
        try:
            for done in as_completed(sizes):
                tokens.update(done.result())
                progress(sizes[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Receipt(len(points), time.monotonic() - began, tokens)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in order, `size` at a time; the last batch may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _upsert(client: QdrantClient, collection: str, points: Sequence[models.PointStruct]) -> dict[str, int]:
    """Write points; the tokens by model.

    `client.upsert` does the same and drops the answer's usage.
    """
    answer = client.http.points_api.upsert_points(
        collection, wait=True, point_insert_operations=models.PointsList(points=list(points))
    )
    if answer.usage is None or answer.usage.inference is None:
        return {}
    return {name: usage.tokens for name, usage in answer.usage.inference.models.items()}
