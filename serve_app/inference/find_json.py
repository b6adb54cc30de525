"""Finding inference objects in a JSON body."""

from __future__ import annotations

from functools import partial
from operator import setitem
from typing import Any

import numpy as np
import orjson

from deployments.errors import MalformedRequest
from serve_app.inference.objects import (
    ANY_NUMBER,
    Path,
    Slot,
    in_words,
    lacks_model,
    object_in,
    too_many,
)
from serve_app.inference.places import SCHEMAS, Schema
from serve_app.protocol.json_text import contains

MAX_DEPTH = 128
"""How deep a body may be nested on the way to a vector; serde_json, which Qdrant parses with, has the same limit."""


def lacks_letters(body: bytes | bytearray) -> bool:
    """Whether a body has none of the letters that an inference object needs, as one of numbers has.

    A letter is found thirty times as fast as a word, a megabyte of them in less than a tenth of a millisecond.
    """
    return b"m" not in body and b"\\" not in body


def may_hold_objects(body: bytes | bytearray) -> bool:
    """Whether a body could hold an inference object, told without parsing it.

    Each one has the key `model`. A letter of a key may be written as an escape, so a body with escapes may hold one.
    """
    return (b"m" in body and contains(body, b'"model"')) or (b"\\" in body and contains(body, b"\\u"))


def find(body: Any, schema: str, depth: int = MAX_DEPTH, most: int = ANY_NUMBER) -> list[Slot]:
    """The slots of all inference objects in a parsed body, in the order of the body, at most `depth` levels deep.

    Raises:
        MalformedRequest: an inference object is not of its schema, or the body is nested too deep.
        WrongInput: there are more than `most`; then no more is looked for.
    """
    return _walked(body, schema, depth, most).slots


def without_model(body: Any, schema: str, depth: int = MAX_DEPTH) -> str | None:
    """The first place in a parsed body where an inference object stands without `model`, if there is one.

    Looked for only after Qdrant has refused the body, so that it costs nothing, and so that what a newer Qdrant takes
    there passes.

    Raises:
        MalformedRequest: the body is nested too deep.
    """
    return next(iter(_walked(body, schema, depth, ANY_NUMBER).without_model), None)


def _walked(body: Any, schema: str, depth: int, most: int) -> _Walk:
    walk = _Walk(most)
    try:
        walk.into(body, "", SCHEMAS[schema], named=False, left=depth)
    except _TooDeepError as error:
        raise MalformedRequest(f"the body is nested deeper than {depth} levels (depth)") from error
    return walk


class _TooDeepError(Exception):
    """No more levels are left."""


class _Walk:
    """Gathers the inference objects in a body, `most` at most, and the place of the first that has no model."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.slots: list[Slot] = []
        self.without_model: list[str] = []

    def into(self, value: Any, path: Path, schema: Schema, *, named: bool, left: int) -> None:
        """Look into a value that is no inference object, and `path` leads to; `left` levels of it are left."""
        if isinstance(value, dict):
            if schema.vector and not self.without_model and _lacks_model(value, schema):
                self.without_model.append(in_words(path))
            if schema.using:
                named = bool(value.get("using"))
            fields, names = schema.fields, schema.names
            named = named or names is not None
            for key in value:
                if target := fields.get(key, names):
                    self._at(value, key, path, SCHEMAS[target], named=named, left=left - 1)
        elif isinstance(value, list) and schema.items:
            items = SCHEMAS[schema.items]
            for position, item in enumerate(value):
                if isinstance(item, (dict, list)):
                    self._at(value, position, path, items, named=named, left=left - 1)

    def _at(  # noqa: PLR0913  what is carried along on each step; an object for it would be most of the work
        self, container: Any, key: str | int, path: Path, schema: Schema, *, named: bool, left: int
    ) -> None:
        """Look at the value that has this name or position in a container."""
        if left < 0:
            raise _TooDeepError
        value, here = container[key], (path, key)
        if schema.vector and isinstance(value, dict) and (wanted := object_in(value, here)):
            if len(self.slots) >= self._most:
                raise too_many(self._most)
            self.slots.append(Slot(here, wanted, named, partial(setitem, container, key), in_json=True))
        else:
            self.into(value, here, schema, named=named, left=left)


def _lacks_model(value: dict[str, Any], schema: Schema) -> bool:
    return lacks_model(value) and not (schema.text and value.keys() == {"text"})


def dump(body: Any) -> bytes:
    """A body with vectors in its slots as JSON; that of a `SparseVector` is an object of its fields.

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
