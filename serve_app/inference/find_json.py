"""Finding inference objects in a JSON body."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import orjson

from deployments.contract import SparseVector, Vector
from deployments.errors import MalformedRequest
from serve_app.inference.objects import Slot, is_inference_object, lacks_model, read
from serve_app.inference.places import SCHEMAS, Schema

MAX_DEPTH = 128
"""How deep a body may be nested on the way to a vector; serde_json, which Qdrant parses with, has the same limit."""


def may_hold_objects(body: bytes | bytearray) -> bool:
    """Whether a body could hold an inference object, told without parsing it.

    Each one has the key `model`. A letter of a key may be written as an escape, so a body with escapes may hold one.
    """
    return b'"model"' in body or b"\\u" in body


def parse(body: bytes | bytearray) -> Any:
    """The body as Python values.

    Raises:
        MalformedRequest: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error.msg} at line {error.lineno}") from error


def find(body: Any, schema: str, depth: int = MAX_DEPTH) -> list[Slot]:
    """The slots of all inference objects in a parsed body, in the order of the body, at most `depth` levels deep.

    Raises:
        MalformedRequest: an inference object is not of its schema, or the body is nested too deep.
    """
    return _walked(body, schema, depth).slots


def without_model(body: Any, schema: str, depth: int = MAX_DEPTH) -> str | None:
    """The first place in a parsed body where an inference object stands without `model`, if there is one.

    Looked for only after Qdrant has refused the body, so that it costs nothing, and so that what a newer Qdrant takes
    there passes.

    Raises:
        MalformedRequest: the body is nested too deep.
    """
    return next(iter(_walked(body, schema, depth).without_model), None)


def _walked(body: Any, schema: str, depth: int) -> _Found:
    found = _Found([], [])
    try:
        _walk(_Value({"": body}, "", ""), SCHEMAS[schema], named=False, left=depth, found=found)
    except _TooDeepError as error:
        raise MalformedRequest(f"the body is nested deeper than {depth} levels (depth)") from error
    return found


class _Found(NamedTuple):
    """The inference objects in a body, and the places of those that have no model."""

    slots: list[Slot]
    without_model: list[str]


class _TooDeepError(Exception):
    """No more levels are left."""


class _Value:
    """A value in its container: the place that can be written to."""

    __slots__ = ("container", "key", "where")

    def __init__(self, container: Any, key: str | int, where: str) -> None:
        self.container = container
        self.key = key
        self.where = where


def _walk(at: _Value, schema: Schema, *, named: bool, left: int, found: _Found) -> None:
    value = at.container[at.key]
    if left < 0:
        raise _TooDeepError
    if isinstance(value, list) and schema.items:
        for position, item in enumerate(value):
            if isinstance(item, (dict, list)):
                child = _Value(value, position, f"{at.where}[{position}]")
                _walk(child, SCHEMAS[schema.items], named=named, left=left - 1, found=found)
    elif isinstance(value, dict):
        if schema.vector and is_inference_object(value):
            found.slots.append(Slot(at.where, read(value, at.where), named, partial(_put, at.container, at.key)))
            return
        if schema.vector and lacks_model(value) and not (schema.text and value.keys() == {"text"}):
            found.without_model.append(at.where)
        _walk_fields(at, schema, named=named, left=left, found=found)


def _walk_fields(at: _Value, schema: Schema, *, named: bool, left: int, found: _Found) -> None:
    value = at.container[at.key]
    if schema.using:
        named = bool(value.get("using"))
    for key in value:
        if target := schema.fields.get(key) or schema.names:
            child = _Value(value, key, f"{at.where}.{key}" if at.where else key)
            _walk(child, SCHEMAS[target], named=named or bool(schema.names), left=left - 1, found=found)


def _put(container: Any, key: str | int, vector: Vector) -> None:
    container[key] = plain(vector)


def plain(vector: Vector | None) -> Any:
    """A vector as it stands in JSON, its numbers still in arrays."""
    return {"indices": vector.indices, "values": vector.values} if isinstance(vector, SparseVector) else vector


def dump(body: Any) -> bytes:
    """A body with vectors in its slots as JSON.

    Raises:
        MalformedRequest: it is nested too deep, in a payload or a filter.
    """
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY, default=_contiguous)
    except orjson.JSONEncodeError as error:
        raise MalformedRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from error


def _contiguous(value: Any) -> Any:
    """An array as orjson takes it (it refuses what is not contiguous)."""
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    raise TypeError
