"""Shard keys, of which a collection without custom sharding has none: to name one is refused as in Qdrant."""

from __future__ import annotations

from typing import Any

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.engine.errors import GrpcError, bad_request, malformed, not_found, wrong_input

Key = str | int


def _key(value: Any, where: str) -> Key:
    return value if isinstance(value, str) else reading.Integer()(value, where)


_with_fallback: Object[tuple[Key, Key]] = Object(
    "ShardKeyWithFallback",
    lambda target, fallback: (target, fallback),
    {"target": _key, "fallback": _key},
    required=("target", "fallback"),
)


def _shown(key: Key) -> str:
    return f'"{key}"' if isinstance(key, str) else str(key)


def _refusal(value: Any, where: str, refuse: Any) -> GrpcError:
    if isinstance(value, dict):
        target, fallback = _with_fallback(value, where)
        return not_found(f"Neither target shard key {_shown(target)} nor fallback shard key {_shown(fallback)} exist")
    if not isinstance(value, list | str | int):
        return malformed(where, "expected a string or an integer")
    keys = [_key(one, where) for one in (value if isinstance(value, list) else [value])]
    if not keys:
        return wrong_input("Empty shard keys selection")
    refusal: GrpcError = refuse(f"Shard key {_shown(keys[0])} not found")
    return refusal


def of_reading(value: Any, where: str) -> None:
    """The shards that a request reads."""
    raise _refusal(value, where, bad_request)


def of_writing(value: Any, where: str) -> None:
    """The shards that a request writes to."""
    raise _refusal(value, where, wrong_input)
