"""gRPC over HTTP, as a server has it: a call's headers, and those that end it. No I/O.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

import grpc

from serve_app.front.haproxy import PROTOCOL
from serve_app.protocol.grpc_framing import bytes_of_header, header_of
from serve_app.protocol.messages import Headers, Metadata

IDENTITY = "identity"
ENCODINGS = ("deflate", "gzip")
"""How messages may be compressed, and the name of their being as they are, which goes without saying."""

_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT_DIGITS = 8
_OF_HTTP = frozenset(
    {b"host", b"te", b"content-type", b"content-length", b"transfer-encoding", b"connection", b"accept-encoding"}
    | {PROTOCOL.encode()}
)
"""Headers that are no metadata, beside those that begin with `grpc-`."""

_UNPRINTABLE = re.compile(rb"[^ -~]")
_LONGEST = 8000
"""Bytes of a status's details: HAProxy takes 16 KB of trailers, and clients 8 KB of metadata at least."""

_IN_MESSAGES = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
"""What a status's details have as it is."""


class CallHead(NamedTuple):
    """What comes before a call's message. `timeout_s`: None if the caller set none; `encoding`: of its message."""

    metadata: Metadata
    timeout_s: float | None
    encoding: str


def call_head(headers: Headers) -> CallHead:
    """Read a call's headers; their names are in lower case.

    Raises:
        ValueError: one of them is not as gRPC has it, and which.
    """
    metadata: list[tuple[str, str | bytes]] = []
    timeout_s: float | None = None
    encoding = IDENTITY
    for name, value in headers:
        if name.startswith(b"grpc-"):
            if name == b"grpc-timeout":
                timeout_s = _timeout_s(_text(name, value))
            elif name == b"grpc-encoding":
                encoding = _text(name, value)
        elif name.endswith(b"-bin"):
            metadata += [(name.decode("ascii"), _bytes(name, part)) for part in value.split(b",")]
        elif name not in _OF_HTTP:
            metadata.append((name.decode("ascii"), _text(name, value)))
    return CallHead(metadata, timeout_s, encoding)


def _text(name: bytes, value: bytes) -> str:
    if _UNPRINTABLE.search(value):
        raise ValueError(f"metadata '{name.decode('latin-1')}': expected printable ASCII")
    return value.decode("ascii")


def _bytes(name: bytes, value: bytes) -> bytes:
    try:
        return bytes_of_header(value)
    except ValueError as error:
        raise ValueError(f"metadata '{name.decode('latin-1')}': {error}") from error


def _timeout_s(value: str) -> float:
    digits, unit = value[:-1], value[-1:]
    if unit not in _UNITS_S or not (digits.isdigit() and len(digits) <= _TIMEOUT_DIGITS):
        raise ValueError("grpc-timeout: expected at most 8 digits and one of H, M, S, m, u, n")
    return int(digits) * _UNITS_S[unit]


def status_lines(code: grpc.StatusCode, details: str, metadata: Metadata = ()) -> Headers:
    """What ends a call, as headers. Details that are too long for one are cut.

    Raises:
        ValueError: there is metadata that no header may have.
    """
    lines = [(b"grpc-status", b"%d" % code.value[0])]
    if details:
        lines.append((b"grpc-message", _message(details)))
    for name, value in metadata:
        lines.append((name.encode("ascii"), _text(name.encode(), header_of(name, value)).encode()))
    return lines


def _message(details: str) -> bytes:
    message = quote(details, safe=_IN_MESSAGES, errors="replace")
    if len(message) > _LONGEST:
        begins = details.encode(errors="replace")[: _LONGEST // len("%00")]
        message = quote(begins.decode(errors="ignore"), safe=_IN_MESSAGES)
    return message.encode("ascii")
