"""Points: ids, vectors and payloads as the engine takes them, checked against the collection before that."""

from __future__ import annotations

import math
import uuid
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.engine.errors import invalid, malformed, no_vector_name, wrong_input

MAX_ID = 2**64 - 1
MAX_INDEX = 2**32 - 1
_FLOAT32 = float(np.finfo(np.float32).max)
MAX_MULTIVECTOR = 2**20
"""Numbers in all vectors of a multivector."""
MAX_DEPTH = 128
"""Levels of nesting in a payload, as many as Qdrant's JSON parser (serde_json) takes."""
_POINT = frozenset(("id", "vector", "payload"))
_INFERENCE = ("text", "image", "object")


def point_id(value: Any, where: str) -> int | str:
    """A number that fits into 64 bits without a sign, or a UUID in any of its spellings."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= MAX_ID:
            raise malformed(where, "a point id is an unsigned 64-bit integer or a UUID")
        return value
    if isinstance(value, str):
        try:
            return str(uuid.UUID(value))
        except ValueError as error:
            raise malformed(where, "not a valid UUID; a point id is an unsigned 64-bit integer or a UUID") from error
    raise malformed(where, "a point id is an unsigned 64-bit integer or a UUID")


def payload(value: Any, where: str) -> dict[str, Any]:
    """An object that nests no deeper than an answer can be encoded."""
    if not isinstance(value, dict):
        raise malformed(where, "expected an object")
    check_depth(value)
    return value


def check_depth(value: dict[str, Any], key: str | None = None) -> None:
    """A payload, at the path `key` where that is given, must not nest deeper than `MAX_DEPTH`."""
    if key is None and not any(isinstance(inner, dict | list) for inner in value.values()):
        return
    levels = key.count(".") + key.count("[") if key else 0
    values: list[Any] = [value]
    while values and levels <= MAX_DEPTH:
        levels += 1
        containers = [inner.values() if isinstance(inner, dict) else inner for inner in values]
        values = [inner for container in containers for inner in container if isinstance(inner, dict | list)]
    if levels > MAX_DEPTH:
        raise wrong_input(f"a payload is nested deeper than {MAX_DEPTH} levels")


@dataclass(frozen=True)
class Kind:
    """What is kept under a vector's name: sparse vectors, or dense ones of `size` numbers, or lists of them."""

    size: int = 0
    is_multi: bool = False

    @property
    def is_sparse(self) -> bool:
        """Whether it has no size."""
        return self.size == 0


Kinds = Mapping[str, Kind]
"""By vector name; the vector without a name has the empty one."""


def vectors(kinds: Kinds, value: Any, where: str) -> Any:
    """The vectors of one point, by name or a single one without."""
    if isinstance(value, list):
        return vector(kinds, "", value, where)
    if not isinstance(value, dict):
        raise malformed(where, "expected a vector or vectors by name")
    _check_no_object(value)
    return {name: vector(kinds, name, inner, where) for name, inner in value.items()}


def _check_no_object(value: dict[str, Any]) -> None:
    if "model" in value and any(name in value for name in _INFERENCE):
        raise wrong_input("an inference object reached the embedded store, which takes only vectors")


def vector(kinds: Kinds, name: str, value: Any, where: str) -> Any:
    """A vector of the kind and size that the collection has under this name."""
    if isinstance(value, dict):
        _check_no_object(value)
        read: Any = sparse(value, where)
    elif isinstance(value, list):
        read = value
        _check_shape(value, where)
    else:
        raise malformed(where, "expected a vector")
    if name not in kinds:
        raise no_vector_name(name)
    kind = kinds[name]
    if kind.is_sparse != isinstance(value, dict):
        raise wrong_input(f"Conversion between sparse and regular vectors failed for vector '{name}'")
    return read if kind.is_sparse else _dense(kind, value, where)


def _check_shape(value: list[Any], where: str) -> None:
    """What is wrong with a vector wherever it belongs."""
    if not value:
        raise invalid(where, "dense vector must not be empty")
    if not isinstance(value[0], list):
        return
    sizes = [len(row) for row in value if isinstance(row, list)]
    if len(sizes) != len(value):
        raise malformed(where, "expected lists of numbers")
    if not all(sizes):
        raise invalid(f"{where}.?.data", "all vectors must be non-empty")
    if sum(sizes) >= MAX_MULTIVECTOR:
        message = f"Total size of all vectors ({sum(sizes)}) must be less than {MAX_MULTIVECTOR}"
        raise invalid(f"{where}.?.data", message)
    other = next((size for size in sizes if size != sizes[0]), None)
    if other is not None:
        message = f"all vectors must have the same dimension, found vector with dimension {other}"
        raise invalid(f"{where}.?.data", message)


def _dense(kind: Kind, value: list[Any], where: str) -> Any:
    if not isinstance(value[0], list):
        _check_row(kind.size, value, where)
        return [value] if kind.is_multi else value
    if not kind.is_multi:
        raise wrong_input("Conversion between multi and regular vectors failed")
    for row in value:
        _check_row(kind.size, row, where)
    return value


def _check_row(size: int, row: list[Any], where: str) -> None:
    if len(row) != size:
        raise wrong_input(f"Vector dimension error: expected dim: {size}, got {len(row)}")
    _check_finite(row, where)


def _check_finite(values: list[Any], where: str) -> None:
    """Refuse what is no number, and what is none as 32-bit float.

    A vector's length tells at once of all its numbers; only where that is too large they are looked at one by one.
    """
    try:
        if math.hypot(*values) < _FLOAT32:
            return
        packed = array("f", values)  # what is beyond 32 bits becomes infinite
    except (TypeError, OverflowError) as error:
        raise malformed(where, "expected numbers") from error
    if not np.isfinite(np.frombuffer(packed, np.float32)).all():
        raise wrong_input("a vector's values must be finite 32-bit floats")


def sparse(value: dict[str, Any], where: str) -> edge.SparseVector:
    """A sparse vector: as many values as indices, each index once."""
    if set(value) != {"indices", "values"}:
        raise malformed(where, "expected a sparse vector with indices and values")
    indices, values = value["indices"], value["values"]
    if not isinstance(indices, list) or not isinstance(values, list):
        raise malformed(where, "expected lists of indices and values")
    if len(indices) != len(values):
        raise invalid(f"{where}.?.values", "Validation error: must be the same length as indices [{}]")
    if not all(type(index) is int and 0 <= index <= MAX_INDEX for index in indices):
        raise malformed(where, "the indices of a sparse vector are unsigned 32-bit integers")
    if len(set(indices)) != len(indices):
        raise invalid(f"{where}.?.indices", "Validation error: must be unique [{}]")
    _check_finite(values, where)
    return reading.built(edge.SparseVector, where, indices, values)


def point(kinds: Kinds) -> reading.Reader[edge.Point]:
    """Reads a point of a list."""

    def read(value: Any, where: str) -> edge.Point:
        if not isinstance(value, dict):
            raise malformed(where, "expected an object (PointStruct)")
        if "vectors" in value:
            value = _with_own_name(value, where)
        for name in ("id", "vector"):
            if value.get(name) is None:
                raise malformed(f"{where}.{name}", "Field required")
        if not value.keys() <= _POINT:
            [unknown, *_] = value.keys() - _POINT
            raise malformed(f"{where}.{unknown}", "unknown field of PointStruct")
        given = value.get("payload")
        return reading.built(
            edge.Point,
            where,
            point_id(value["id"], f"{where}.id"),
            vectors(kinds, value["vector"], f"{where}.vector"),
            None if given is None else payload(given, f"{where}.payload"),
        )

    return read


def _with_own_name(value: dict[str, Any], where: str) -> dict[str, Any]:
    if "vector" in value:
        raise malformed(f"{where}.vector", "duplicate field: `vectors` is another name of it")
    return {("vector" if name == "vectors" else name): inner for name, inner in value.items()}


def columns(kinds: Kinds, batch: Any, where: str) -> list[edge.Point]:
    """The points of a batch in columns."""
    read = reading.Object(
        "Batch",
        lambda **given: given,
        {
            "ids": reading.items(reading.anything),
            "vectors": reading.anything,
            "payloads": reading.items(reading.anything),
        },
        required=("ids", "vectors"),
    )
    given = read(batch, where)
    ids, payloads = given["ids"], given.get("payloads") or [None] * len(given["ids"])
    if len(payloads) != len(ids):
        raise invalid(
            where, f"Validation error: number of ids and payloads must be equal ({len(ids)} != {len(payloads)})"
        )
    rows = zip(ids, _rows(given["vectors"], len(ids), f"{where}.vectors"), payloads, strict=True)
    one = point(kinds)
    return [
        one({"id": number, "vector": row, "payload": inner}, f"{where}[{position}]")
        for position, (number, row, inner) in enumerate(rows)
    ]


def _rows(given: Any, count: int, where: str) -> Iterator[Any]:
    """The vectors of each point of a batch."""
    for column in given.values() if isinstance(given, dict) else [given]:
        if not isinstance(column, list):
            raise malformed(where, "expected a list of vectors")
        if len(column) != count:
            message = f"Validation error: number of ids and vectors must be equal ({count} != {len(column)})"
            raise invalid(where, message)
    if not isinstance(given, dict):
        yield from given
        return
    for position in range(count):
        yield {name: column[position] for name, column in given.items()}


def point_vectors(kinds: Kinds) -> reading.Reader[edge.PointVectors]:
    """Reads the new vectors of a point."""

    def read_vectors(value: Any, where: str) -> Any:
        if value == {}:
            raise invalid(where, "must specify vectors to update for point")
        return vectors(kinds, value, where)

    return reading.Object(
        "PointVectors",
        lambda id, vector: edge.PointVectors(id, vector),  # noqa: A006, PLW0108  Qdrant's name
        {"id": point_id, "vector": read_vectors},
        required=("id", "vector"),
    )
