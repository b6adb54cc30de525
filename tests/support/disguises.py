"""Ways to hide a JSON body behind its content-encoding, and what such a body is answered with where it is read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence


def _plain(body: bytes) -> bytes:
    return body


def _bare_deflate(body: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


DISGUISES: Sequence[tuple[str, Callable[[bytes], bytes], int]] = (
    ("x", _plain, 415),
    ("x, identity", _plain, 415),
    ("identity, x", _plain, 415),
    ("identity, gzip", gzip.compress, 415),
    ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body)), 415),
    ("br", _plain, 415),
    ("zstd", _plain, 415),
    ("compress", _plain, 415),
    ("aws-chunked", _plain, 415),
    ("gzip", lambda body: gzip.compress(b"") + gzip.compress(body), 400),
    ("gzip", lambda body: gzip.compress(b"{}") + gzip.compress(body), 400),
    ("gzip", lambda body: gzip.compress(b"{}") + body, 400),
    ("x-gzip", lambda body: gzip.compress(b"{}") + b"\0", 400),
    ("gzip", _plain, 400),
    ("gzip", zlib.compress, 400),
    ("deflate", lambda body: zlib.compress(b"") + zlib.compress(body), 400),
    ("deflate", lambda body: zlib.compress(b"{}") + body, 400),
    ("deflate", _bare_deflate, 400),
    ("deflate", gzip.compress, 400),
)
"""Encoding, how the body is made of a plain one, and the status."""
