"""How gRPC writes messages, and metadata of bytes, over HTTP. No I/O.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import base64
import binascii
import struct

PREFIX_BYTES = 5
"""Before each message: whether it is compressed, and its length."""

_PREFIX = struct.Struct(">BI")


def framed(message: bytes) -> bytes:
    """A message with its prefix, as it is."""
    return _PREFIX.pack(0, len(message)) + message


def prefix_of(body: bytes) -> tuple[bool, int]:
    """Whether the message that begins here is compressed, and how many bytes it has after its prefix.

    Raises:
        ValueError: it has no whole prefix, or the first byte is neither 0 nor 1.
    """
    if len(body) < PREFIX_BYTES:
        raise ValueError("there is no message")
    flag, length = _PREFIX.unpack_from(body)
    if flag > 1:
        raise ValueError(f"a message begins with 0 or 1, and not with {flag}")
    return bool(flag), length


def header_of(name: str, value: str | bytes) -> bytes:
    """Metadata as a header has it: in base64 if its name ends with `-bin`."""
    raw = value.encode() if isinstance(value, str) else value
    return base64.b64encode(raw).rstrip(b"=") if name.endswith("-bin") else raw


def bytes_of_header(value: bytes) -> bytes:
    """What `header_of` made a header of.

    Raises:
        ValueError: it is no base64.
    """
    value = value.strip()
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64") from error
