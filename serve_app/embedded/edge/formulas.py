"""Formulas of scores: Qdrant's expressions as the engine's."""

from __future__ import annotations

from functools import partial
from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.filters import condition, geo_point
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.engine.errors import malformed

Expression = edge.Expression


def expression(value: Any, where: str) -> Any:
    """A number, a variable's name, a condition, or an operation on expressions."""
    if isinstance(value, bool):
        raise malformed(where, "expected an expression")
    if isinstance(value, int | float):
        return Expression.Constant(float(value))
    if isinstance(value, str):
        return Expression.Variable(value)
    if isinstance(value, dict) and set(value) & set(_OPERATIONS):
        return reading.variant("Expression", _OPERATIONS)(value, where)
    return Expression.Condition(condition(value, where))


_inner = reading.later(lambda: expression)
_several = reading.items(_inner)


def _of_one(build: Any) -> reading.Reader[Any]:
    return lambda value, where: build(_inner(value, where))


def _of_many(build: Any) -> reading.Reader[Any]:
    return lambda value, where: build(_several(value, where))


def _of_text(build: Any) -> reading.Reader[Any]:
    return lambda value, where: reading.built(build, where, reading.string(value, where))


def _div(left: Any, right: Any, by_zero_default: float | None = None) -> Any:
    return Expression.Div(left, right, by_zero_default)


def _decayed(
    kind: edge.DecayKind, x: Any, target: Any = None, midpoint: float | None = None, scale: float | None = None
) -> Any:
    return Expression.Decay(kind, x, target, midpoint, scale)


def _decay(kind: edge.DecayKind) -> Object[Any]:
    return Object(
        "DecayParamsExpression",
        partial(_decayed, kind),
        {"x": _inner, "target": _inner, "scale": reading.number, "midpoint": reading.number},
        required=("x",),
    )


_OPERATIONS: dict[str, reading.Reader[Any]] = {
    "geo_distance": Object(
        "GeoDistanceParams",
        Expression.GeoDistance,
        {"origin": geo_point, "to": reading.string},
        required=("origin", "to"),
    ),
    "datetime": _of_text(Expression.Datetime),
    "datetime_key": _of_text(Expression.DatetimeKey),
    "mult": _of_many(Expression.Mult),
    "sum": _of_many(Expression.Sum),
    "max": _of_many(Expression.Max),
    "min": _of_many(Expression.Min),
    "neg": _of_one(Expression.Neg),
    "abs": _of_one(Expression.Abs),
    "sqrt": _of_one(Expression.Sqrt),
    "exp": _of_one(Expression.Exp),
    "log10": _of_one(Expression.Log10),
    "ln": _of_one(Expression.Ln),
    "acosh": _of_one(Expression.Acosh),
    "div": Object(
        "DivParams",
        _div,
        {"left": _inner, "right": _inner, "by_zero_default": reading.number},
        required=("left", "right"),
    ),
    "pow": Object("PowParams", Expression.Pow, {"base": _inner, "exponent": _inner}, required=("base", "exponent")),
    "lin_decay": _decay(edge.DecayKind.Lin),
    "gauss_decay": _decay(edge.DecayKind.Gauss),
    "exp_decay": _decay(edge.DecayKind.Exp),
}
