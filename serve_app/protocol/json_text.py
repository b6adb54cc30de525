"""JSON that others send, as Python values, within the time that one call may keep all others waiting."""

from __future__ import annotations

from typing import Any

import orjson

from deployments.errors import MalformedRequest, TooLarge

MOST_CONTAINERS = 1_000_000
"""Objects and arrays in a body. They take half a microsecond each, in which nothing else of the process runs."""


def parse(text: bytes | bytearray) -> Any:
    """The body as Python values.

    Raises:
        MalformedRequest: it is not JSON.
        TooLarge: it has more than `MOST_CONTAINERS` objects and arrays, brackets in its texts counted with them.
    """
    if len(text) > 2 * MOST_CONTAINERS and text.count(b"{") + text.count(b"[") > MOST_CONTAINERS:
        raise TooLarge(f"the body has more than {MOST_CONTAINERS:,} objects and arrays; send it in parts")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error.msg} at line {error.lineno}") from error
