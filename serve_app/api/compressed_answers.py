"""Answers compressed as their caller asks: those that are ours. What Qdrant has compressed passes as it is.

Qdrant compresses with br, gzip, deflate and zstd whatever the size (actix-web's `Compress`). Of these, gzip and deflate
are here, for bodies that gain by it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

from serve_app.protocol.messages import Headers, without

WORTH_IT = 1024
"""Bytes below which a compressed body hardly fits into fewer packets."""

_LONG = 64 * 1024
"""Bytes from which on compressing takes longer than other requests should wait for."""

_FAST = 1
_LENGTH = frozenset({b"content-length"})
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def compressed(
    accepted: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """An answer's headers and body, compressed if its caller takes it so; `accepted` is what it accepts."""
    encoding = None if _is_compressed(headers) else _wanted(accepted.decode("latin-1"))
    if encoding is None:
        return headers, body
    body = await asyncio.to_thread(_compress, body, encoding) if len(body) >= _LONG else _compress(body, encoding)
    ours = [(b"content-encoding", encoding.encode()), (b"vary", b"accept-encoding")]
    return [*without(headers, _LENGTH), *ours], body


def _is_compressed(headers: Headers) -> bool:
    """Or an image, which is compressed in itself."""
    return any(
        name == b"content-encoding" or (name == b"content-type" and value.startswith(b"image/png"))
        for name, value in headers
    )


def _wanted(header: str) -> str | None:
    """The encoding that a caller likes best among ours, gzip first; None if it likes none at least as much as none."""
    weights = dict(_weights(header))
    anything = weights.get("*", 0.0)
    best = max(_WINDOW_BITS, key=lambda encoding: weights.get(encoding, anything))
    weight = weights.get(best, anything)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weights(header: str) -> Iterator[tuple[str, float]]:
    """What RFC 9110, section 12.5.3, has in Accept-Encoding; what is no number there counts as no."""
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        number = weight.partition("=")[2].strip()
        try:
            yield name.strip(), float(number) if number else 1.0
        except ValueError:
            yield name.strip(), 0.0


def _compress(body: bytes, encoding: str) -> bytes:
    packing = zlib.compressobj(_FAST, wbits=_WINDOW_BITS[encoding])
    return packing.compress(body) + packing.flush()
