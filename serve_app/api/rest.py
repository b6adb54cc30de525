"""Qdrant's REST API: an ASGI app that hands every request on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache, partial
from random import Random
from typing import Any, Protocol

from typing_extensions import Self

from deployments.errors import InferenceError, InternalError, MalformedRequest
from serve_app.api import cors, inference_service, web_pages
from serve_app.api.compressed_answers import WORTH_IT, compressed
from serve_app.api.health import Health
from serve_app.api.route_templates import template
from serve_app.auth import permissions
from serve_app.auth.access import EVERYTHING, OPEN, Access, Authenticator, credential_of, for_qdrant
from serve_app.auth.permissions import Permission
from serve_app.inference import provider_keys
from serve_app.observability.record import Record, Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol import deadlines, json_text
from serve_app.protocol.compression import read_text
from serve_app.protocol.error_responses import http_error
from serve_app.protocol.messages import NO_KEYS, Headers, Named, Request, Response, without
from serve_app.protocol.offload import beside
from serve_app.routes import Route, route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("ray.serve")

_REQUEST_ID = b"x-request-id"

_ids = Random()  # noqa: S311  nobody has to guess in vain

_WRITTEN_HERE = frozenset({b"date", b"server", _REQUEST_ID, cors.ALLOW_ORIGIN})
"""Headers of Qdrant's answers that this app, or the server which runs it, writes itself."""

_USUAL_LENGTH = 256
"""Bytes of a path up to which it is remembered where it leads, so that none fills the memory."""


class ClientGone(Exception):
    """The caller hung up before its request was whole."""


class Api(Protocol):
    """An API of our own, on paths that Qdrant does not have."""

    def owns(self, path: str) -> bool:
        """Whether a path is one of this API's."""

    async def answer(self, request: Request) -> Response:
        """Answer a request for such a path.

        Raises:
            InferenceError: `refusal` has its shape.
        """

    def refusal(self, error: InferenceError) -> Response:
        """An error in the shape that this API has for it."""


class HttpApi:
    """Qdrant's REST API, and the inference service that a Qdrant server calls."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticator: Authenticator = OPEN,
        watch: Watch | None = None,
        health: Health | None = None,
        others: Sequence[Api] = (),
    ) -> None:
        """`others` are APIs beside Qdrant's."""
        self._pipeline = pipeline
        self._settings = pipeline.embedder.settings
        self._authenticator = authenticator
        self._watch = watch or Watch()
        self._health = health
        self._others = others
        self._usual_way = lru_cache(maxsize=1024)(self._found)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's scope, as ASGI has it."""
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        headers, request_id = _identified(scope["headers"])
        route, is_ours = self._way(scope["method"], scope.get("raw_path") or scope["path"].encode())
        request = self._request(scope, route.path, headers, receive)
        with self._watch.request("rest", partial(template, request.method, route.path), request.header) as record:
            try:
                response = await self._routed(request, route, headers, is_ours=is_ours)
            except ClientGone:
                return
            except Exception as error:  # noqa: BLE001  this is the last place to answer
                response = self._failed(request, error, record)
            await self._answer(response, headers, request_id, send)
            record.answered(str(int(response.status)))

    async def _routed(self, request: Request, route: Route, headers: Named, *, is_ours: bool) -> Response:
        settings = self._settings.current
        if self._authenticator.is_open:
            web_pages.refuse_foreign(headers, route.path, settings.allowed_origins, settings.allowed_hosts)
        if settings.enable_cors and request.method == "OPTIONS" and (asked := cors.preflight(request)):
            return asked
        if is_ours:
            return await self._own(request)
        if route.climbs:
            raise MalformedRequest("the path has a segment '.' or '..'")
        access = self._authenticator.admit(credential_of(headers), route.permission, route.collection)
        if access is not EVERYTHING or route.permission is Permission.NOTHING:
            request = await self._restricted(request, access, route.permission)
        return await self._pipeline.rest(request, route)

    async def _restricted(self, request: Request, access: Access, permission: Permission) -> Request:
        """The request as it goes on, if it stays in what its credential allows."""
        if permission is Permission.NOTHING:  # nobody knows whose body it is, and no such route reads one
            return request.without_body()
        if access.everywhere is None and permission is Permission.READ:
            request, text = await read_text(request, self._settings.current.body_bytes)
            if permissions.may_name_others(text):
                others = await beside(len(text), lambda: list(permissions.other_collections(json_text.parse(text))))
                for other in others:
                    access.check(permission, other)
        headers = for_qdrant(request.headers, access)
        return request._replace(headers=headers, tenant=access.tenant, unchecked=access.if_value_exists)

    def _way(self, method: str, raw_path: bytes) -> tuple[Route, bool]:
        """Where a request goes, and whether to one of our own APIs, or for a probe."""
        return self._usual_way(method, raw_path) if len(raw_path) <= _USUAL_LENGTH else self._found(method, raw_path)

    def _found(self, method: str, raw_path: bytes) -> tuple[Route, bool]:
        found = route(method, raw_path)
        is_probe = self._health is not None and self._health.is_probe(method, found.path)
        return found, is_probe or _is_asked_by_a_server(method, found.path) or self._other(found.path) is not None

    async def _own(self, request: Request) -> Response:
        if self._health and self._health.is_probe(request.method, request.path):
            return await self._health.answer(request)
        if _is_asked_by_a_server(request.method, request.path):
            return await inference_service.answer(self._pipeline.embedder, self._authenticator, request)
        other = self._other(request.path)
        assert other  # noqa: S101  see `_found`
        return await other.answer(request)

    def _other(self, path: str) -> Api | None:
        for other in self._others:
            if other.owns(path):
                return other
        return None

    def _failed(self, request: Request, error: Exception, record: Record) -> Response:
        """What is answered to a request that failed."""
        if not isinstance(error, InferenceError):
            # The error's own text may hold what the caller sent, so only its type is written down.
            log.error("a request failed with %s", origin(error))
            error = InternalError("an internal error; the server's log has its origin")
        record.failed(error)
        other = self._other(request.path)
        return other.refusal(error) if other else http_error(error)

    def _request(self, scope: Message, path: str, headers: Named, receive: Receive) -> Request:
        """A request as it came in; keys for external providers are no headers any more."""
        query = scope["query_string"].decode("latin-1") if scope["query_string"] else ""
        asked_s = deadlines.asked_in_query(query) if query else 0
        all_headers: Headers = scope["headers"]
        keys = provider_keys.of_headers(all_headers) if provider_keys.may_have(headers) else NO_KEYS
        if keys:
            all_headers = without(all_headers, frozenset(name.encode() for name in keys))
        has_body = b"content-length" in headers or b"transfer-encoding" in headers  # who announces none has none
        return Request(
            scope["method"],
            path,
            query,
            all_headers,
            _Incoming(receive) if has_body else b"",
            time=deadlines.from_now(asked_s, self._settings.current.qdrant_timeout_s),
            keys=keys,
        )

    async def _answer(self, response: Response, asked: Named, request_id: bytes, send: Send) -> None:
        """Send a response, whoever gave it; `asked` are the request's headers."""
        headers, body = without(response.headers, _WRITTEN_HERE), response.body
        headers.append((_REQUEST_ID, request_id))
        if self._settings.current.enable_cors:
            cors.allow(asked.get(b"origin"), headers)
        else:
            headers = cors.forbidden(headers)
        if isinstance(body, bytes):
            if len(body) >= WORTH_IT:
                headers, body = await compressed(asked.get(b"accept-encoding", b""), headers, body)
            if b"content-length" not in dict(headers):  # an answer to HEAD has its own
                headers.append((b"content-length", b"%d" % len(body)))
            await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        async for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _is_asked_by_a_server(method: str, path: str) -> bool:
    """Whether a Qdrant server asks for vectors."""
    return method == "POST" and path.rstrip("/") == inference_service.PATH


def origin(error: BaseException) -> str:
    """An exception's type and the innermost line of code that it came from."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


def _identified(headers: list[tuple[bytes, bytes]]) -> tuple[Named, bytes]:
    """The headers by their names, and the request's id, one of our own if the caller has given none.

    By it, a request is found in logs and at Qdrant.
    """
    by_name = dict(reversed(headers))
    if _REQUEST_ID in by_name:
        return by_name, by_name[_REQUEST_ID]
    made = b"%032x" % _ids.getrandbits(128)
    headers.append((_REQUEST_ID, made))
    return by_name, made


class _Incoming:
    """The body of a request as it comes in."""

    __slots__ = ("_receive", "is_over")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self.is_over:
            raise StopAsyncIteration
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.is_over = not message.get("more_body")
        part: bytes = message.get("body", b"")
        return part


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
