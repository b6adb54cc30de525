"""The files of the page, as they lie in the folder `page`. They need no key: the page asks for it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

from serve_app.protocol.messages import Headers, Request, Response

FOLDER = Path(__file__).parent / "page"
PREFIX = "/inference/"

_NAME = re.compile(r"\w[\w-]*(?:[./]\w[\w-]*)*", re.ASCII)
"""Names that lead nowhere else: no dot or slash beside another one."""

_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".mjs": b"text/javascript; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".woff2": b"font/woff2",
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS: Headers = (
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", _POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


_PAGES = {"": "index.html", "docs": "docs.html"}
"""Files that have addresses of their own: the console, and the pages of the API."""


async def answer(request: Request) -> Response | None:
    """A file; None if there is no such file."""
    name = request.path.removeprefix(PREFIX)
    name = _PAGES.get(name, name)
    path = FOLDER / name
    if not _NAME.fullmatch(name) or path.suffix not in _TYPES:
        return None
    try:
        content = await asyncio.to_thread(path.read_bytes)
    except OSError:
        return None
    tag = b'"' + hashlib.sha256(content).hexdigest()[:16].encode() + b'"'
    headers = [*_ALWAYS, (b"etag", tag)]
    if (b"if-none-match", tag) in [(key.lower(), value) for key, value in request.headers]:
        return Response(304, headers, b"")
    return Response(200, [*headers, (b"content-type", _TYPES[path.suffix])], content)
