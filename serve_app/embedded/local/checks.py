"""What is refused before anything is stored or searched: what Qdrant refuses and local mode would let through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from qdrant_client.http import models

from serve_app.embedded.engine.errors import wrong_input
from serve_app.embedded.local.collection import Collection

MAX_ID = 2**64 - 1
MAX_INDEX = 2**32 - 1
MAX_DEPTH = 128
"""Levels of nesting in a payload, as many as Qdrant's JSON parser (serde_json) takes."""


def check_id(point_id: models.ExtendedPointId) -> None:
    """A number has to fit into 64 bits without a sign; local mode itself checks UUIDs."""
    if isinstance(point_id, int) and not 0 <= point_id <= MAX_ID:
        raise wrong_input("a point id is an unsigned 64-bit integer or a UUID")


def check_payload(payload: dict[str, Any] | None, key: str | None = None) -> None:
    """A payload, at the path `key` where that is given, must not nest deeper than an answer can be encoded."""
    levels = key.count(".") + key.count("[") if key else 0
    values: list[Any] = [payload] if payload else []
    while values and levels <= MAX_DEPTH:
        levels += 1
        containers = [value.values() if isinstance(value, dict) else value for value in values]
        values = [inner for container in containers for inner in container if isinstance(inner, dict | list)]
    if levels > MAX_DEPTH:
        raise wrong_input(f"a payload is nested deeper than {MAX_DEPTH} levels")


def check_vectors(collection: Collection, vectors: Any) -> None:
    """The vectors of one point, by name or a single one without."""
    for name, vector in vectors.items() if isinstance(vectors, dict) else (("", vectors),):
        check_vector(collection, name, vector)


def check_vector(collection: Collection, name: str, vector: Any) -> None:
    """A vector has to be of the kind and size that the collection has under this name."""
    if isinstance(vector, models.Document | models.Image | models.InferenceObject):
        raise wrong_input("an inference object reached the embedded store, which takes only vectors")
    if name not in collection.deleted_per_vector:
        raise wrong_input(f"Not existing vector name error: {name}")
    if isinstance(vector, models.SparseVector) != (name in collection.sparse_vectors):
        raise wrong_input(f"Conversion between sparse and regular vectors failed for vector '{name}'")
    if isinstance(vector, models.SparseVector):
        _check_sparse(vector)
    else:
        _check_dense(vector, collection.get_vector_params(name))


def _check_sparse(vector: models.SparseVector) -> None:
    if len(vector.indices) != len(vector.values):
        raise wrong_input("a sparse vector needs as many values as indices")
    if len(set(vector.indices)) != len(vector.indices):
        raise wrong_input("the indices of a sparse vector must be unique")
    if any(not 0 <= index <= MAX_INDEX for index in vector.indices):
        raise wrong_input("the indices of a sparse vector are unsigned 32-bit integers")
    _check_finite(vector.values)


def _check_dense(vector: list[Any], params: models.VectorParams) -> None:
    is_multivector = bool(vector) and isinstance(vector[0], list)
    if is_multivector != (params.multivector_config is not None):
        raise wrong_input("Conversion between multi and regular vectors failed")
    for row in vector if is_multivector else [vector]:
        if len(row) != params.size:
            raise wrong_input(f"Vector dimension error: expected dim: {params.size}, got {len(row)}")
        _check_finite(row)


def _check_finite(values: list[float]) -> None:
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite
        if not np.isfinite(np.asarray(values, dtype=np.float32)).all():
            raise wrong_input("a vector's values must be finite 32-bit floats")


def check_query(
    collection: Collection, request: models.QueryRequest | models.Prefetch | models.QueryGroupsRequest
) -> None:
    """All vectors of a query, at any depth of `prefetch`, have to fit what they search."""
    for vector in _vectors(request.query):
        if isinstance(vector, int | str):
            check_id(vector)
        else:
            check_vector(collection, request.using or "", vector)
    prefetch = request.prefetch or []
    for inner in prefetch if isinstance(prefetch, list) else [prefetch]:
        check_query(collection, inner)


def _vectors(query: Any) -> Iterator[models.VectorInput]:
    """The vectors and ids that a query names."""
    if isinstance(query, models.NearestQuery):
        yield query.nearest
    elif isinstance(query, models.RecommendQuery):
        yield from query.recommend.positive or []
        yield from query.recommend.negative or []
    elif isinstance(query, models.DiscoverQuery):
        yield query.discover.target
        yield from _pairs(query.discover.context)
    elif isinstance(query, models.ContextQuery):
        yield from _pairs(query.context)
    elif isinstance(query, models.RelevanceFeedbackQuery):
        yield query.relevance_feedback.target
        yield from (item.example for item in query.relevance_feedback.feedback)
    elif query is not None and not isinstance(query, _WITHOUT_VECTORS):
        yield query


_WITHOUT_VECTORS = (
    models.OrderByQuery,
    models.FusionQuery,
    models.RrfQuery,
    models.FormulaQuery,
    models.SampleQuery,
    models.TextQuery,
)


def _pairs(context: models.ContextInput | None) -> Iterator[models.VectorInput]:
    for pair in context if isinstance(context, list) else [context] if context else []:
        yield pair.positive
        yield pair.negative
