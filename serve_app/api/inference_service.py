"""`POST /inference`, which a Qdrant server calls when its clients send inference objects to it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from http import HTTPStatus

import orjson

from deployments.errors import InferenceError, RequestError
from serve_app.auth.access import Access, Authenticator, credential
from serve_app.embedder import Embedder
from serve_app.inference import service_protocol
from serve_app.inference.service_protocol import Reading
from serve_app.ledger.meter import Caller
from serve_app.observability.record import current
from serve_app.protocol.compression import read_text
from serve_app.protocol.error_responses import HTTP, headers_of
from serve_app.protocol.messages import Headers, Request, Response, json_response

PATH = "/inference"


async def answer(embedder: Embedder, authenticator: Authenticator, request: Request) -> Response:
    """Embed the inputs; an error has this protocol's shape, and of the caller's only statuses 400, 401 and 403."""
    try:
        reading, access = await _admitted(embedder, authenticator, request)
        caller = Caller(access.tenant)
        used = await embedder.embed(reading.slots, reading.direction, caller=caller)
    except InferenceError as error:
        current().failed(error)
        status = HTTPStatus.BAD_REQUEST if isinstance(error, RequestError) else HTTP[error.kind]
        return json_response(status, orjson.dumps({"error": error.message}), _encoded(headers_of(error)))
    headers = _encoded(embedder.quota_headers(caller, used))
    return json_response(HTTPStatus.OK, service_protocol.dump(reading.vectors, used), headers)


def _encoded(headers: Sequence[tuple[str, str]]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in headers]


async def _admitted(embedder: Embedder, authenticator: Authenticator, request: Request) -> tuple[Reading, Access]:
    """What a server asks for that may ask. Its key stands in a header, or as Qdrant sends it, in the body's `token`.

    A header goes first: instead of the token of its configuration, Qdrant sends the subject of its caller's JWT.
    """
    header = credential(request.headers) or _of_url(request)
    access = authenticator.admit_server(header) if header is not None else None
    _, text = await read_text(request, embedder.settings.current.body_bytes)
    reading = service_protocol.read(text)
    if access is None:
        access = authenticator.admit_server(reading.token.encode() if reading.token is not None else None)
    return reading, access


def _of_url(request: Request) -> bytes | None:
    """The key of an address such as `http://qdrant:KEY@gateway:6333/inference`; clients send it as Basic (RFC 7617)."""
    kind, _, encoded = (request.header("authorization") or "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded if kind.lower() == "basic" else "").partition(b":")
    except ValueError:
        return None
    return password or user or None
