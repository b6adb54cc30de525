"""Queries in groups of equal payload values, which the engine does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.collection import Collection
from serve_app.embedded.edge.filters import both
from serve_app.embedded.edge.points import point_id
from serve_app.embedded.edge.queries import QUERY, QueryReader, changed
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.edge.selection import with_payload, with_vector
from serve_app.embedded.edge.strict_rates import query_cost
from serve_app.embedded.engine.errors import GrpcError

JSON = dict[str, Any]
_WINDOW = 4
"""So many times the number of hits that are wanted are looked at first, and as many times more each time after."""
_MOST = 2**64 - 1
"""The highest limit of a query."""

_lookup = Object(
    "WithLookup",
    lambda **given: given,
    {"collection": reading.string, "with_payload": with_payload, "with_vectors": with_vector},
    required=("collection",),
)


def with_lookup(value: Any, where: str) -> JSON:
    """A collection's name, or that with what is wanted of its points."""
    return {"collection": value} if isinstance(value, str) else _lookup(value, where)


_OWN: dict[str, reading.Reader[Any]] = {
    "group_by": reading.string,
    "group_size": reading.Integer(1),
    "limit": reading.Integer(1),
    "with_lookup": with_lookup,
}
GROUPS = Object(
    "QueryGroupsRequest",
    lambda **given: given,
    {**{name: reading.anything for name in QUERY.fields if name != "offset"}, **_OWN},
    required=("group_by",),
)


def query_groups(collection: Collection, reader: QueryReader, body: JSON, of: Callable[[str], Collection]) -> JSON:
    """The answer of one query, in groups; a point with several values is in the group of each."""
    given = GROUPS(body, "")
    limit, size = given.get("limit", 10), given.get("group_size", 3)
    hits = _grouped(collection, reader, body, given["group_by"], limit, size)
    payloads = with_payload(body.get("with_payload") or False, "with_payload")
    vectors = with_vector(body.get("with_vector") or False, "with_vector")
    ids = list({hit["id"] for group in hits.values() for hit in group})
    filled = {one["id"]: one for one in collection.records(ids, payloads, vectors)} if ids else {}
    groups: list[JSON] = [
        {"id": key, "hits": [{**_bare(hit), **filled.get(hit["id"], {})} for hit in group]}
        for key, group in hits.items()
    ]
    if "with_lookup" in given:
        _look_up(groups, given["with_lookup"], of(given["with_lookup"]["collection"]))
    return {"groups": groups}


def _bare(hit: JSON) -> JSON:
    return {name: value for name, value in hit.items() if name != "payload"}


def _grouped(  # noqa: PLR0913, PLR0917
    collection: Collection, reader: QueryReader, body: JSON, key: str, limit: int, size: int
) -> dict[Any, Any]:
    """The best hits of the best groups, from a window on the query's answer that grows until it suffices."""
    query = {name: value for name, value in body.items() if name in QUERY.fields and name != "limit"}
    window = min(limit * size * _WINDOW, _MOST)
    reader.request({**query, "limit": window})  # what is wrong with it is told first
    collection.strict_mode().check_groups(body)
    query = dict(collection.affordable(query))
    while True:
        wanted = {**query, "limit": window, "with_payload": [key], "with_vector": False}
        collection.check_scoring([wanted])
        request = _that_has(reader.request(wanted), key)
        collection.pay_for_reading(lambda: query_cost(body))
        [points] = collection.query_many([request])
        groups = _sorted_into_groups(points, key, limit, size)
        is_full = len(groups) == limit and all(len(group) == size for group in groups.values())
        if is_full or len(points) < window:
            return groups
        window = min(window * _WINDOW, _MOST)


def _that_has(request: edge.QueryRequest, key: str) -> edge.QueryRequest:
    """The same request, for points that have a value to be grouped by."""
    condition = edge.Filter(must_not=[reading.built(edge.IsEmptyCondition, "group_by", key)])
    return changed(request, filter=both(request.filter, condition))


def _sorted_into_groups(points: list[JSON], key: str, limit: int, size: int) -> dict[Any, list[JSON]]:
    groups: dict[Any, list[JSON]] = {}
    for point in points:
        for value in dict.fromkeys(values(point.get("payload") or {}, key)):
            group = groups.get(value)
            if group is None and len(groups) < limit:
                groups[value] = [point]
            elif group is not None and len(group) < size:
                group.append(point)
    return groups


def values(payload: Any, path: str) -> list[int | str]:
    """The strings and integers at a path of a payload; lists count by their items."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]").strip('"')
    inner = payload.get(name) if isinstance(payload, dict) else None
    found: list[int | str] = []
    for one in inner if isinstance(inner, list) else [inner]:
        if rest:
            found += values(one, rest)
        elif isinstance(one, int | str) and not isinstance(one, bool):
            found.append(one)
    return found


def _look_up(groups: list[JSON], lookup: JSON, other: Collection) -> None:
    """Put into each group the point of another collection that has the group's value as its id."""
    ids = [one for one in (_as_id(group["id"]) for group in groups) if one is not None]
    payloads = lookup.get("with_payload", True)
    found = {one["id"]: one for one in other.records(ids, payloads, lookup.get("with_vectors", False))} if ids else {}
    for group in groups:
        number = _as_id(group["id"])
        if number in found:
            group["lookup"] = found[number]


def _as_id(value: int | str) -> int | str | None:
    try:
        return point_id(value, "")
    except GrpcError:
        return None
