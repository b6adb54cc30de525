"""`POST /inference`, which a Qdrant server calls when its clients send inference objects to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import orjson

from deployments.errors import AccessError, InferenceError, Overloaded, RequestError, TooLarge, Unauthenticated
from serve_app.auth.access import Access, Authenticator, credential
from serve_app.embedder import Embedder
from serve_app.inference import service_protocol
from serve_app.inference.service_protocol import Reading
from serve_app.ledger.meter import Caller
from serve_app.observability.record import current
from serve_app.protocol.compression import read_text
from serve_app.protocol.error_responses import HTTP, headers_of
from serve_app.protocol.messages import Headers, Request, Response, json_response
from serve_app.protocol.offload import beside

PATH = "/inference"

UNKNOWN_CALLERS_BYTES = 256 * 1024
"""Of a body whose token tells whose it is, so that all of it has to be read before."""


async def answer(embedder: Embedder, authenticator: Authenticator, request: Request) -> Response:
    """Embed the inputs; an error has this protocol's shape, and of the caller's only statuses 400, 401 and 403."""
    try:
        reading, access = await _admitted(embedder, authenticator, request)
        caller = Caller(access.tenant, keys=request.keys)
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
    Until it is known who asks, only a short body is read, and of that only the token is looked at.
    """
    header = credential(request.headers) or _of_url(request)
    limit = embedder.settings.current.body_bytes
    if header is not None or authenticator.is_open:
        access = authenticator.admit_server(header)
        _, text = await read_text(request, limit)
        return await beside(len(text), partial(service_protocol.read, text)), access
    try:
        text = await _unknown.text(request, min(limit, UNKNOWN_CALLERS_BYTES))
    except TooLarge as error:
        raise Unauthenticated(
            f"a body of more than {UNKNOWN_CALLERS_BYTES} bytes needs its key in a header, api-key or authorization; "
            "a Qdrant server sends one if its key is in the address (http://qdrant:KEY@...)"
        ) from error
    except RequestError as error:
        raise Unauthenticated("Must provide an API key: in a header, or in the body's token") from error
    _admit_any(authenticator, service_protocol.tokens_in(text))
    reading = await beside(len(text), partial(service_protocol.read, text))
    return reading, authenticator.admit_server(reading.token.encode() if reading.token is not None else None)


class UnknownBodies:
    """Reads bodies that have to tell whose they are; who sends one slowly takes memory and a turn of the replica."""

    AT_ONCE_S = 0.05
    MOST = 64
    """Bodies that have not come at once and are waited for."""

    PATIENCE_S = 2.0
    """For how long."""

    def __init__(self) -> None:
        self._waiting = 0

    async def text(self, request: Request, limit: int) -> bytes:
        """A body as `read_text` gives it.

        Raises:
            Overloaded: too many others are waited for.
            Unauthenticated: it did not come in time.
            RequestError: as `read_text`.
        """
        reading = asyncio.ensure_future(read_text(request, limit))
        try:
            await asyncio.wait({reading}, timeout=self.AT_ONCE_S)
            if not reading.done():
                await self._waited_for(reading)
            return reading.result()[1]
        finally:
            reading.cancel()

    async def _waited_for(self, reading: asyncio.Future[tuple[Request, bytes]]) -> None:
        if self._waiting >= self.MOST:
            raise Overloaded("too many callers show no key in a header and send their bodies slowly")
        self._waiting += 1
        try:
            await asyncio.wait({reading}, timeout=self.PATIENCE_S)
        finally:
            self._waiting -= 1
        if not reading.done():
            raise Unauthenticated("a body that comes slowly needs its key in a header")


_unknown = UnknownBodies()


def _admit_any(authenticator: Authenticator, tokens: Sequence[bytes]) -> None:
    """Let pass whose body has a known key where its token may stand, before it is parsed."""
    for token in tokens[1:]:
        with contextlib.suppress(AccessError):
            authenticator.admit_server(token)
            return
    authenticator.admit_server(tokens[0] if tokens else None)


def _of_url(request: Request) -> bytes | None:
    """The key of an address such as `http://qdrant:KEY@gateway:6333/inference`; clients send it as Basic (RFC 7617)."""
    kind, _, encoded = (request.header("authorization") or "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded if kind.lower() == "basic" else "").partition(b":")
    except ValueError:
        return None
    return password or user or None
