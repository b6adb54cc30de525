"""Cross-origin requests of browsers, as Qdrant allows them by default (`enable_cors`): any origin, method and header.

Source: Qdrant 1.19, src/actix/mod.rs; actix-cors 0.7, `Cors::default().allow_any_origin()` and so on. The headers stand
on every answer, refusals too, and what a browser asks beforehand is answered without a credential.
"""

from __future__ import annotations

from http import HTTPStatus

from serve_app.protocol.messages import Headers, Request, Response

_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "TRACE")
_VARY = b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
_PREFIX = b"access-control-"
ALLOW_ORIGIN = b"access-control-allow-origin"


def preflight(request: Request) -> Response | None:
    """The answer to what a browser asks before a request from another origin; None if a request is no such question."""
    asked = request.header("access-control-request-method")
    if request.method != "OPTIONS" or asked is None:
        return None
    if asked not in _METHODS:
        return Response(HTTPStatus.BAD_REQUEST, [], b"Requested method is not allowed")
    headers = [(b"access-control-allow-methods", ", ".join(_METHODS).encode())]
    names = request.header("access-control-request-headers")
    if names is not None:
        headers.append((b"access-control-allow-headers", names.encode("latin-1")))
    return Response(HTTPStatus.OK, headers, b"")


def allow(origin: bytes | None, headers: list[tuple[bytes, bytes]]) -> None:
    """Add to the headers of an answer, which has no `ALLOW_ORIGIN`, that scripts of the asking origin may read it."""
    if origin is not None:
        headers.append((ALLOW_ORIGIN, origin))
    if b"vary" not in dict(headers) or not [v for name, v in headers if name == b"vary" and b"Origin" in v]:
        headers.append((b"vary", _VARY))


def forbidden(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that scripts of other origins may not read, whatever Qdrant says."""
    return [(name, value) for name, value in headers if not name.startswith(_PREFIX)]
