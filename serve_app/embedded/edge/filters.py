"""Filters: Qdrant's conditions as the engine's."""

from __future__ import annotations

from typing import Any

import numpy as np
import qdrant_edge as edge
from typing_extensions import override

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.points import point_id
from serve_app.embedded.edge.reading import Object, built
from serve_app.embedded.engine.errors import bad_request, invalid, malformed

MAX_DEPTH = 64
"""How deep filters may nest; Python's and the engine's stacks hold more."""


def _match_any(words: Any, where: str) -> Any:
    values = reading.items(reading.anything)(words, where)
    if any(isinstance(value, bool) or not isinstance(value, int | str) for value in values):
        raise malformed(where, "expected strings or integers")
    return values


def _value(value: Any, where: str) -> Any:
    if not isinstance(value, bool | int | str):
        raise malformed(where, "expected a string, an integer or a boolean")
    # The engine takes Python's True for the integer 1; numpy's is no integer.
    return np.bool_(value) if isinstance(value, bool) else value


_MATCHES = {
    "value": lambda value, where: built(edge.MatchValue, where, _value(value, where)),
    "text": lambda value, where: edge.MatchText(reading.string(value, where)),
    "text_any": lambda value, where: edge.MatchTextAny(reading.string(value, where)),
    "phrase": lambda value, where: edge.MatchPhrase(reading.string(value, where)),
    "prefix": lambda value, where: edge.MatchPrefix(reading.string(value, where)),
    "substring": lambda value, where: edge.MatchSubstring(reading.string(value, where)),
    "any": lambda value, where: built(edge.MatchAny, where, _match_any(value, where)),
    "except": lambda value, where: built(edge.MatchExcept, where, _match_any(value, where)),
}
_match: reading.Reader[Any] = reading.variant("Match", _MATCHES)

_BOUNDS = ("lt", "gt", "gte", "lte")
_float_range = Object("Range", edge.RangeFloat, dict.fromkeys(_BOUNDS, reading.number))
_date_range = Object("DatetimeRange", edge.RangeDateTime, dict.fromkeys(_BOUNDS, reading.string))


def _range(value: Any, where: str) -> Any:
    is_dates = isinstance(value, dict) and any(isinstance(bound, str) for bound in value.values())
    return _date_range(value, where) if is_dates else _float_range(value, where)


def _geo_point(lon: float, lat: float) -> edge.GeoPoint:
    if abs(lon) > _MAX_LONGITUDE or abs(lat) > _MAX_LATITUDE:
        raise malformed("geo point", "`lat` must be within [-90;90] and `lon` within [-180;180]")
    return edge.GeoPoint(lon, lat)


_MAX_LONGITUDE, _MAX_LATITUDE = 180, 90
geo_point = Object("GeoPoint", _geo_point, {"lon": reading.number, "lat": reading.number}, required=("lon", "lat"))
_box = Object(
    "GeoBoundingBox",
    edge.GeoBoundingBox,
    {"top_left": geo_point, "bottom_right": geo_point},
    required=("top_left", "bottom_right"),
)
_radius = Object(
    "GeoRadius", edge.GeoRadius, {"center": geo_point, "radius": reading.number}, required=("center", "radius")
)
_line: Object[list[edge.GeoPoint]] = Object(
    "GeoLineString", lambda points: points, {"points": reading.items(geo_point)}, required=("points",)
)


def _closed_line(value: Any, where: str) -> list[edge.GeoPoint]:
    points: list[edge.GeoPoint] = _line(value, where)
    ends = [(point.lon, point.lat) for point in (points[:1] + points[-1:])]
    if len(points) < 4 or ends[0] != ends[-1]:  # noqa: PLR2004  a triangle that ends where it began
        raise invalid(where, "polygon invalid, the first and the last point should be the same to form a closed line")
    return points


_polygon = Object(
    "GeoPolygon",
    edge.GeoPolygon,
    {"exterior": _closed_line, "interiors": reading.items(_closed_line)},
    required=("exterior",),
)
_count = Object("ValuesCount", edge.ValuesCount, dict.fromkeys(_BOUNDS, reading.Integer()))


def _field(key: str, **condition: Any) -> edge.FieldCondition:
    if not condition:
        raise invalid("filter", "At least one field condition must be specified")
    return edge.FieldCondition(key, **condition)


FIELD = Object(
    "FieldCondition",
    _field,
    {
        "key": reading.string,
        "match": _match,
        "range": _range,
        "geo_bounding_box": _box,
        "geo_radius": _radius,
        "geo_polygon": _polygon,
        "values_count": _count,
        "is_empty": reading.boolean,
        "is_null": reading.boolean,
    },
    required=("key",),
)
_PAYLOAD_FIELD = Object("PayloadField", lambda key: key, {"key": reading.string}, required=("key",))


def _slice(total: int, index: int) -> Any:
    if index >= total:
        raise invalid("slice.index", f"value {index} invalid, must be smaller than total {total}")
    condition_of: Any = edge  # whose stubs lack this class
    return condition_of.SliceCondition(total, index)


_SLICE = Object(
    "Slice",
    _slice,
    {"total": reading.Integer(1, bits=32, is_nonzero=True), "index": reading.Integer(bits=32)},
    required=("total", "index"),
)
_NESTED = Object(
    "Nested",
    lambda key, filter: edge.NestedCondition(key.removesuffix("[]"), filter),  # noqa: A006  Qdrant's name
    {"key": reading.string, "filter": reading.later(lambda: _FILTER)},
    required=("key", "filter"),
)
_CONDITIONS: dict[str, reading.Reader[Any]] = {
    "is_empty": lambda value, where: built(edge.IsEmptyCondition, where, _PAYLOAD_FIELD(value, where)),
    "is_null": lambda value, where: built(edge.IsNullCondition, where, _PAYLOAD_FIELD(value, where)),
    "has_id": lambda value, where: edge.HasIdCondition(set(reading.items(point_id)(value, where))),
    "has_vector": lambda value, where: edge.HasVectorCondition(reading.string(value, where)),
    "nested": _NESTED,
    "slice": _SLICE,
}


def condition(value: Any, where: str) -> Any:
    """Any condition, and a filter that stands for one."""
    reading.count()
    if where.count(".") > 4 * MAX_DEPTH:
        raise malformed("filter", "nested too deeply")
    if isinstance(value, dict):
        if "key" in value:
            return FIELD(value, where)
        for name, read in _CONDITIONS.items():
            if name in value:
                return reading.variant("Condition", {name: read})(value, where)
    return _FILTER(value, where)


_conditions = reading.one_or_many(condition)
_MIN_SHOULD = Object(
    "MinShould",
    edge.MinShould,
    {"conditions": reading.items(condition), "min_count": reading.Integer(1)},
    required=("conditions", "min_count"),
)
MOST_CONDITIONS = 1000
"""In one filter: each is looked at for each point."""


class _Whole(Object[edge.Filter]):
    """A filter that is in no other."""

    @override
    def __call__(self, value: Any, where: str) -> edge.Filter:
        before = reading.parts()
        read = super().__call__(value, where)
        if (count := reading.parts() - before) > MOST_CONDITIONS:
            raise bad_request(f"a filter has {count} conditions; at most {MOST_CONDITIONS} are allowed")
        return read


_FIELDS: dict[str, reading.Reader[Any]] = {
    "must": _conditions,
    "should": _conditions,
    "must_not": _conditions,
    "min_should": _MIN_SHOULD,
}
_FILTER: Object[edge.Filter] = Object("Filter", edge.Filter, _FIELDS)
FILTER = _Whole("Filter", edge.Filter, _FIELDS)


def both(first: edge.Filter | None, second: edge.Filter | None) -> edge.Filter | None:
    """What passes both filters."""
    if first is None or second is None:
        return first or second
    return edge.Filter(must=[first, second])
