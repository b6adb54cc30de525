"""Distances within a sample of points, which the engine does not have."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading, shard_keys
from serve_app.embedded.edge.collection import Collection
from serve_app.embedded.edge.filters import FILTER, both
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.edge.strict_rates import read_cost
from serve_app.embedded.engine.errors import TakesLong, bad_request, no_vector_name

JSON = dict[str, Any]
MOST_SAMPLE = 3000
"""Half a minute."""
_SMALL = 100
MATRIX = Object(
    "SearchMatrixRequest",
    lambda **given: given,
    {
        "filter": FILTER,
        "sample": reading.Integer(2),
        "limit": reading.Integer(1),
        "using": reading.string,
        "shard_key": shard_keys.of_reading,
    },
)


def nearest_in_sample(collection: Collection, body: JSON) -> tuple[list[Any], list[list[JSON]]]:
    """The ids of a random sample of points, ascending, and for each the nearest others of the sample."""
    given = MATRIX(body, "")
    collection.strict_mode().check_matrix(body)
    size = given.get("sample", 10)
    _check_size(size)
    chosen = collection.chosen(body, given)
    collection.pay_for_reading(lambda: size * read_cost(body))
    using = given.get("using", "")
    if using not in collection.kinds:
        raise no_vector_name(using)
    ids = _sample(collection, size, both(chosen, _has(using)))
    if len(ids) < 2:  # noqa: PLR2004  a pair
        return [], []
    vectors = {one["id"]: one for one in collection.records(ids, payloads=False, vectors=False)}
    requests = [
        edge.QueryRequest(
            given.get("limit", 3),
            query=edge.Query.Nearest(collection.vector(one, using), using),
            filter=edge.Filter(must=[edge.HasIdCondition(set(ids))], must_not=[edge.HasIdCondition({one})]),
        )
        for one in vectors
    ]
    return list(vectors), collection.query_many(requests)


def _check_size(sample: int) -> None:
    """Each point of a sample is searched for among all of it.

    Raises:
        GrpcError: the sample is too large.
        TakesLong: it takes long, and others wait for this thread.
    """
    if sample > MOST_SAMPLE:
        raise bad_request(f"a distance matrix has a sample of at most {MOST_SAMPLE} points in the embedded store")
    if sample > _SMALL and reading.others_wait():
        raise TakesLong


def _has(using: str) -> edge.Filter:
    return edge.Filter(must=[edge.HasVectorCondition(using)])


def _sample(collection: Collection, size: int, chosen: edge.Filter | None) -> list[Any]:
    request = edge.QueryRequest(size, query=edge.Sample.Random, filter=chosen)
    [found] = collection.query_many([request])
    return sorted((one["id"] for one in found), key=lambda one: (isinstance(one, str), one))


def pairs(collection: Collection, body: JSON) -> JSON:
    """The distances as pairs of ids."""
    ids, nearest = nearest_in_sample(collection, body)
    return {
        "pairs": [
            {"a": one, "b": hit["id"], "score": hit["score"]}
            for one, hits in zip(ids, nearest, strict=True)
            for hit in hits
        ]
    }


def offsets(collection: Collection, body: JSON) -> JSON:
    """The distances as a sparse matrix."""
    ids, nearest = nearest_in_sample(collection, body)
    column = {one: number for number, one in enumerate(ids)}
    entries = [(row, column[hit["id"]], hit["score"]) for row, hits in enumerate(nearest) for hit in hits]
    rows, columns, scores = ([entry[place] for entry in entries] for place in range(3))
    return {"offsets_row": rows, "offsets_col": columns, "scores": scores, "ids": ids}
