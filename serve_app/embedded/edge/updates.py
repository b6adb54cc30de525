"""Writes of points: Qdrant's operations as the engine's, all checked before the first is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading, shard_keys
from serve_app.embedded.edge.filters import FILTER
from serve_app.embedded.edge.points import Kinds, check_depth, columns, payload, point, point_id, point_vectors
from serve_app.embedded.edge.reading import Object, built
from serve_app.embedded.engine.errors import GrpcError, invalid, malformed, no_vector_name, wrong_input

Operation = edge.UpdateOperation
_PIECE = 500
"""Points that the engine writes at once."""
_OF_SHARDS: dict[str, reading.Reader[Any]] = {"shard_key": shard_keys.of_writing}
_MODES = {
    "upsert": edge.UpdateMode.Upsert,
    "insert_only": edge.UpdateMode.InsertOnly,
    "update_only": edge.UpdateMode.UpdateOnly,
}


def _given(**given: Any) -> dict[str, Any]:
    return given


def _empty() -> GrpcError:
    return wrong_input("Empty update request")


def operations(kinds: Kinds, body: Mapping[str, Any], where: str = "") -> tuple[list[Operation], int]:
    """The engine's operations for one of a batch of updates, and how many points it lists.

    Each of a batch has a name and its content. Many points make several operations, so that others have their turn.
    """
    if not isinstance(body, dict) or len(body) != 1 or next(iter(body)) not in _READERS:
        raise malformed(where, f"expected an object with one of {', '.join(_READERS)}")
    [(name, content)] = body.items()
    return _READERS[name](kinds, content, f"{where}.{name}" if where else ""), _count(content)


def _count(content: Any) -> int:
    listed = content.get("points") or (content.get("batch") or {}).get("ids")
    return len(listed) if isinstance(listed, list) else 1


def _in_pieces(points: list[Any], build: Callable[[list[Any]], Operation]) -> list[Operation]:
    return [build(points[first : first + _PIECE]) for first in range(0, len(points), _PIECE)]


def _upsert(kinds: Kinds, body: Any, where: str) -> list[Operation]:
    shape = Object(
        "PointInsertOperations",
        _given,
        {
            "points": reading.items(point(kinds)),
            "batch": lambda value, at: columns(kinds, value, at),
            "update_filter": FILTER,
            "update_mode": reading.choice(_MODES),
            **_OF_SHARDS,
        },
    )
    given = shape(body, where)
    if ("points" in given) == ("batch" in given):
        raise malformed(where, "expected either points or a batch")
    points = given.get("points") or given.get("batch")
    if not points:
        raise _empty()
    chosen, mode = given.get("update_filter"), given.get("update_mode")
    return _in_pieces(points, lambda piece: Operation.upsert_points(piece, chosen, mode))


_SELECTED: dict[str, reading.Reader[Any]] = {"points": reading.items(point_id), "filter": FILTER, **_OF_SHARDS}


def _selected(
    schema: str,
    by_ids: Callable[..., Operation],
    by_filter: Callable[..., Operation],
    fields: Mapping[str, reading.Reader[Any]] | None = None,
    required: tuple[str, ...] = (),
) -> Callable[[Kinds, Any, str], list[Operation]]:
    """Reads an operation on the points that are listed, or on those that pass a filter."""
    shape = Object(schema, _given, {**_SELECTED, **(fields or {})}, required)

    def read(kinds: Kinds, body: Any, where: str) -> list[Operation]:
        given = shape(body, where)
        ids, chosen = given.pop("points", None), given.pop("filter", None)
        _check(kinds, given)
        if ids is None and chosen is None:
            raise invalid(where or "points", "Either list of point ids or filter must be provided")
        if ids is None:
            return [built(by_filter, where, chosen, **given)]
        if not ids:
            raise _empty()
        return [built(by_ids, where, ids, **given)]

    return read


def _check(kinds: Kinds, given: Mapping[str, Any]) -> None:
    for name in given.get("vector", ()):
        if name not in kinds:
            raise no_vector_name(name)
    if "payload" in given:
        check_depth(given["payload"], given.get("key"))


def _delete(kinds: Kinds, body: Any, where: str) -> list[Operation]:
    if isinstance(body, dict) and not {"points", "filter"} & set(body):
        raise malformed(where, "expected points or a filter (PointsSelector)")
    return _delete_selected(kinds, body, where)


_delete_selected = _selected("PointsSelector", Operation.delete_points, Operation.delete_points_by_filter)


def _update_vectors(kinds: Kinds, body: Any, where: str) -> list[Operation]:
    shape = Object(
        "UpdateVectors",
        _given,
        {"points": reading.items(point_vectors(kinds)), "update_filter": FILTER, **_OF_SHARDS},
        ("points",),
    )
    given = shape(body, where)
    if not given["points"]:
        raise _empty()
    return _in_pieces(given["points"], lambda piece: Operation.update_vectors(piece, given.get("update_filter")))


def _vector_names(value: Any, where: str) -> list[str]:
    names = reading.items(reading.string)(value, where)
    if not names:
        raise invalid(where, "Validation error: must specify vector names to delete")
    return names


_PAYLOAD: dict[str, reading.Reader[Any]] = {"payload": payload, "key": reading.string}
_READERS: dict[str, Callable[[Kinds, Any, str], list[Operation]]] = {
    "upsert": _upsert,
    "delete": _delete,
    "set_payload": _selected(
        "SetPayload", Operation.set_payload, Operation.set_payload_by_filter, _PAYLOAD, ("payload",)
    ),
    "overwrite_payload": _selected(
        "SetPayload", Operation.overwrite_payload, Operation.overwrite_payload_by_filter, _PAYLOAD, ("payload",)
    ),
    "delete_payload": _selected(
        "DeletePayload",
        Operation.delete_payload,
        Operation.delete_payload_by_filter,
        {"keys": reading.items(reading.string)},
        ("keys",),
    ),
    "clear_payload": _selected("PointsSelector", Operation.clear_payload, Operation.clear_payload_by_filter),
    "update_vectors": _update_vectors,
    "delete_vectors": _selected(
        "DeleteVectors",
        lambda ids, vector: Operation.delete_vectors(ids, vector),  # noqa: PLW0108  Qdrant's name
        lambda chosen, vector: Operation.delete_vectors_by_filter(chosen, vector),  # noqa: PLW0108
        {"vector": _vector_names},
        ("vector",),
    ),
}
"""The operations by the names that they have in a batch."""
