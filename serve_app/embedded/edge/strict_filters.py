"""What a collection's strict mode looks at in a filter: its conditions, and the indexes that these need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

JSON = Mapping[str, Any]

_RANGES = ("integer", "float", "datetime")
_FOR_MATCH = {str: ("keyword", "uuid"), bool: ("bool",), int: ("integer",)}
_TEXT = ("text", "text_any", "phrase")
_GEO = ("geo_radius", "geo_bounding_box", "geo_polygon")
FOR_GROUPS = tuple(f"{name}:lookup" for name in ("keyword", "uuid", "integer", "bool"))
"""Types of indexes of which any serves to group by a field."""
_FOR_NUMBERS = ("integer", "float", "bool")


def prefetches(body: JSON) -> list[Any]:
    """Those of a query or of a prefetch: one may stand without a list."""
    prefetch = body.get("prefetch")
    return prefetch if isinstance(prefetch, list) else [prefetch] if prefetch else []


def missing_index(indexes: JSON, key: str, needed: tuple[str, ...]) -> str | None:
    """What is wrong with the indexes for a field of which any type in `needed` would do; any, if it is empty."""
    index = indexes.get(key)
    if index is None:
        return f'Index required but not found for "{key}"'
    if needed and not any(_serves(index, one) for one in needed):
        return f'Index of type "{str(index["data_type"]).capitalize()}" found for "{key}"'
    return None


def needed_indexes(condition: JSON) -> tuple[str, ...]:
    """The types of indexes of which any serves a condition; none if each does."""
    match = condition.get("match")
    if isinstance(match, dict):
        [(kind, value)] = match.items() if len(match) == 1 else [("", None)]
        if kind in _TEXT:
            return (f"text:{kind}",)
        if kind == "prefix":
            return ("keyword:prefix",)
        one = value[0] if isinstance(value, list) and value else value
        return tuple(f"{name}:lookup" for name in _FOR_MATCH.get(type(one), ()))
    if condition.get("range") is not None:
        return tuple(f"{name}:range" for name in _RANGES)
    return ("geo",) if any(condition.get(name) is not None for name in _GEO) else ()


def _serves(index: JSON, needed: str) -> bool:
    kind, _, ability = needed.partition(":")
    params = index.get("params") or {}
    if index["data_type"] != kind:
        return False
    if ability in ("lookup", "range") and kind == "integer":
        return params.get(ability) is not False
    if ability == "phrase":
        return bool(params.get("phrase_matching"))
    return ability != "prefix" or bool(params.get("prefix"))


def conditions(condition: Any, prefix: str = "") -> Iterator[tuple[str, JSON]]:
    """All single conditions of a filter, with the full path of the field that each is about."""
    if not isinstance(condition, dict):
        return
    if "key" in condition:
        yield f"{prefix}{condition['key']}", condition
    elif "nested" in condition and isinstance(condition["nested"], dict):
        key = str(condition["nested"].get("key", "")).removesuffix("[]")
        yield from conditions(condition["nested"].get("filter"), f"{prefix}{key}[].")
    elif any(name in condition for name in ("is_empty", "is_null")):
        inner = condition.get("is_empty") or condition.get("is_null") or {}
        yield f"{prefix}{inner.get('key', '')}", {}
    elif any(name in condition for name in ("has_id", "has_vector", "slice")):
        yield "", condition
    else:
        for name in ("must", "should", "must_not"):
            inner = condition.get(name) or []
            for one in inner if isinstance(inner, list) else [inner]:
                yield from conditions(one, prefix)
        for one in (condition.get("min_should") or {}).get("conditions") or []:
            yield from conditions(one, prefix)


def formula_keys(expression: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The payload fields that a formula reads, each with the types of indexes of which one has to be there."""
    if isinstance(expression, str) and not expression.startswith("$"):
        yield expression, _FOR_NUMBERS
    elif isinstance(expression, list):
        for one in expression:
            yield from formula_keys(one)
    elif isinstance(expression, dict):
        yield from _keys_of_object(expression)


def _keys_of_object(expression: JSON) -> Iterator[tuple[str, tuple[str, ...]]]:
    if "geo_distance" in expression:
        yield expression["geo_distance"]["to"], ("geo",)
    elif "datetime_key" in expression:
        yield expression["datetime_key"], ("datetime",)
    elif "key" in expression or expression.keys() & {"must", "should", "must_not", "is_empty", "is_null", "nested"}:
        for key, one in conditions(expression):
            if key:
                yield key, needed_indexes(one)
    elif "datetime" not in expression:
        for inner in expression.values():
            yield from formula_keys(inner)
