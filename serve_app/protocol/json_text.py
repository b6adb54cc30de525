"""JSON that others send, as Python values, within the time that one call may keep all others waiting."""

from __future__ import annotations

from typing import Any

import orjson

from deployments.errors import MalformedRequest, TooLarge
from serve_app.protocol import json_pieces
from serve_app.protocol.json_pieces import NotJsonError, TooManyContainersError

MOST_CONTAINERS = 250_000
"""Objects and arrays in a body: Python's collector of garbage visits all in one go, a quarter of a microsecond each."""

_LOOKED_AT = 1024 * 1024
"""Bytes that are looked through in a millisecond."""


def parse(text: bytes | bytearray) -> Any:
    """The body as Python values.

    Raises:
        MalformedRequest: it is not JSON.
        TooLarge: it has more than `MOST_CONTAINERS` objects and arrays.
    """
    try:
        return json_pieces.parse(text, MOST_CONTAINERS) if len(text) > json_pieces.PIECE else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _refused(error.msg, error.lineno) from error
    except NotJsonError as error:
        raise _refused(error.message, 1 + _lines(text, error.position)) from error
    except TooManyContainersError as error:
        message = f"the body has more than {MOST_CONTAINERS:,} objects and arrays; send it in parts"
        raise TooLarge(message) from error


def contains(text: bytes | bytearray, word: bytes) -> bool:
    """Whether a word stands in a body."""
    if len(text) <= _LOOKED_AT:
        return word in text
    return any(
        text.find(word, start, start + _LOOKED_AT + len(word) - 1) >= 0 for start in range(0, len(text), _LOOKED_AT)
    )


def _refused(message: str, line: int) -> MalformedRequest:
    return MalformedRequest(f"the body is not JSON: {message} at line {line}")


def _lines(text: bytes | bytearray, end: int) -> int:
    """How many lines end before a place."""
    return sum(text.count(b"\n", start, min(end, start + _LOOKED_AT)) for start in range(0, end, _LOOKED_AT))
