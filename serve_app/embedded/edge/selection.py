"""Which parts of a point an answer has, and in which order points come."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.reading import Object, built
from serve_app.embedded.engine.errors import malformed

_selector = Object(
    "PayloadSelector",
    lambda **selected: selected,
    {"include": reading.items(reading.string), "exclude": reading.items(reading.string)},
)


def with_payload(value: Any, where: str) -> Any:
    """All of a payload, nothing, some fields, or all but some."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return reading.built(edge.PayloadSelector.Include, where, reading.items(reading.string)(value, where))
    selected = _selector(value, where)
    if "exclude" in selected:
        return built(edge.PayloadSelector.Exclude, where, selected["exclude"])
    return built(edge.PayloadSelector.Include, where, selected.get("include", []))


def with_vector(value: Any, where: str) -> bool | list[str]:
    """All vectors, none, or those of some names."""
    return value if isinstance(value, bool) else reading.items(reading.string)(value, where)


def start_from(value: Any, where: str) -> Any:
    """A number, or a time as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise malformed(where, "expected a number or a datetime")
    return value


_order_by = Object(
    "OrderBy",
    edge.OrderBy,
    {
        "key": reading.string,
        "direction": reading.choice({"asc": edge.Direction.Asc, "desc": edge.Direction.Desc}),
        "start_from": start_from,
    },
    required=("key",),
)


def order_by(value: Any, where: str) -> edge.OrderBy:
    """A payload field's name, or that with a direction and a beginning."""
    return built(edge.OrderBy, where, value) if isinstance(value, str) else _order_by(value, where)
