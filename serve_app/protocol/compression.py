"""Compressed request bodies, read where inference objects may stand in them."""

from __future__ import annotations

import zlib

from deployments.errors import MalformedRequest, TooLarge

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""zlib's names for the encodings of RFC 9110, section 8.4.1."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """A body as text; empty where the encoding is not known here, so that Qdrant decides what becomes of it.

    Raises:
        TooLarge: it unfolds to more than `limit` bytes; no more than that is ever unfolded.
        MalformedRequest: it is not compressed in the way it says.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOW_BITS:
        return b""
    unfolding = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        text = unfolding.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedRequest(f"the body is not {encoding}, as its content-encoding says") from error
    if len(text) > limit:
        raise TooLarge(f"the body unfolds to more than the {limit} bytes that are allowed (body_bytes)")
    if not unfolding.eof:
        raise MalformedRequest(f"the body's {encoding} ends too early")
    return text
