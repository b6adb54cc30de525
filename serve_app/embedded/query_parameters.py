"""What a REST request says after its path's question mark: how to wait, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from grpc import StatusCode

from serve_app.embedded.engine.errors import GrpcError
from serve_app.embedded.engine.protocol import UPDATES, Waiting

Check = Callable[[str], bool]
_U64 = 2**64


def _one_of(*words: str) -> Check:
    return lambda value: value in words


def _unsigned(value: str) -> bool:
    return value.isdecimal() and value.isascii() and int(value) < _U64


def _nonzero(value: str) -> bool:
    return _unsigned(value) and int(value) > 0


def _consistency(value: str) -> bool:
    return _nonzero(value) or value in {"", "majority", "quorum", "all"}


_READ: Mapping[str, Check] = {"timeout": _nonzero, "consistency": _consistency}
_UPDATE: Mapping[str, Check] = {
    "wait": _one_of("true", "false"),
    "ordering": _one_of("weak", "medium", "strong"),
    "timeout": _unsigned,
}
_CONFIGURE: Mapping[str, Check] = {"timeout": _unsigned}
_CONFIGURING = re.compile("(create|update|delete)_(collection|aliases)")


_NOTHING_SAID = Waiting(wait=False, timeout=None)


def read(operation: str, query: str) -> Waiting:
    """The parameters of an engine's operation; names that it does not know are passed over, as in Qdrant.

    Raises:
        GrpcError: a value is none that Qdrant takes.
    """
    if not query:
        return _NOTHING_SAID
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    configures = _CONFIGURING.fullmatch(operation) is not None
    known = _CONFIGURE if configures else _UPDATE if operation in UPDATES else _READ
    for name, check in known.items():
        if name in given and (not check(given[name]) or [one for one, _ in pairs].count(name) > 1):
            raise GrpcError(
                StatusCode.INVALID_ARGUMENT, f"Deserialize error in query parameters: {name}: invalid value"
            )
    timeout = int(given["timeout"]) if "timeout" in given else None
    if configures and timeout == 0:
        message = "Validation error in query parameters: [timeout: value 0 invalid, must be 1 or larger]"
        raise GrpcError(StatusCode.INVALID_ARGUMENT, message, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Waiting(given.get("wait") == "true", timeout)
