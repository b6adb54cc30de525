"""Compressed request bodies, unfolded wherever this gateway looks into them: what it checks is what it forwards."""

from __future__ import annotations

import zlib
from functools import partial
from typing import Any

from deployments.errors import MalformedRequest, TooLarge, UnsupportedEncoding
from serve_app.protocol.messages import Request, read
from serve_app.protocol.offload import beside

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""zlib's names for the encodings of RFC 9110, section 8.4.1."""

MOST_UNFOLDED = 1032
"""Bytes that one byte of zlib's can unfold to."""


async def read_plain(request: Request, limit: int) -> Request:
    """The request with its body read to its end and decompressed, and without the header that said how it was.

    Raises:
        TooLarge: the body is over the limit, as it is or decompressed.
        UnsupportedEncoding: how it is compressed is not known here; then nothing of it is read.
        MalformedRequest: it is not compressed in the way it says.
    """
    encodings = request.encodings
    encoding = _known(encodings) if encodings else ""
    body = await read(request.body, limit)
    if body is None:
        raise TooLarge(f"the body has more than the {limit} bytes that are allowed (body_bytes)")
    if not encodings:
        return request.read_as(body, request.headers)
    if encoding:
        body = await beside(MOST_UNFOLDED * len(body), partial(decompress, body, encoding, limit))
    return request.with_plain_body(body)


async def read_text(request: Request, limit: int) -> tuple[Request, bytes]:
    """What `read_plain` gives, and its body beside it."""
    request = await read_plain(request, limit)
    text: Any = request.body
    return request, text


def _known(encodings: tuple[str, ...]) -> str:
    """The one encoding that a body has, of those that are read here; empty if it has none."""
    if encodings == ("identity",):
        return ""
    if len(encodings) > 1 or encodings[0] not in _WINDOW_BITS:
        known = ", ".join(_WINDOW_BITS)
        raise UnsupportedEncoding(f"content-encoding: a body that is looked into is taken as {known} or as it is")
    return encodings[0]


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """What a body unfolds to; `encoding` is one that is known here.

    RFC 1952 lets a gzip have several members. No client sends such a body, and software differs in how it reads one,
    so it is refused, as is whatever else comes after the end.

    Raises:
        TooLarge: it unfolds to more than `limit` bytes; no more than that is ever unfolded.
        MalformedRequest: it is not compressed in the way it says, ends too early, or goes on after its end.
    """
    unfolding = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        text = unfolding.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedRequest(f"the body is not {encoding}, as its content-encoding says") from error
    if len(text) > limit:
        raise TooLarge(f"the body unfolds to more than the {limit} bytes that are allowed (body_bytes)")
    if not unfolding.eof:
        raise MalformedRequest(f"the body's {encoding} ends too early")
    if unfolding.unused_data:
        raise MalformedRequest(f"the body goes on after the end of its {encoding}")
    return text
