"""Qdrant's REST API: an ASGI app that hands every request on."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Protocol

from deployments.errors import InferenceError, InternalError, MalformedRequest
from serve_app.api import cors, inference_service, web_pages
from serve_app.api.compressed_answers import compressed
from serve_app.api.health import Health
from serve_app.api.route_templates import template
from serve_app.auth import permissions
from serve_app.auth.access import EVERYTHING, OPEN, Authenticator, credential, for_qdrant
from serve_app.auth.permissions import Permission
from serve_app.inference import provider_keys
from serve_app.observability.record import Watch, current
from serve_app.pipeline import Pipeline
from serve_app.protocol import json_text, paths
from serve_app.protocol.compression import read_text
from serve_app.protocol.error_responses import http_error
from serve_app.protocol.messages import Body, Headers, Request, Response, without
from serve_app.protocol.offload import beside

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("ray.serve")

_REQUEST_ID = b"x-request-id"

_OF_THE_SERVER = frozenset({b"date", b"server", _REQUEST_ID})
"""Headers of Qdrant's answers that this app, or the server which runs it, writes itself."""


_ABOUT_BODIES = frozenset({b"content-length", b"transfer-encoding"})
"""A request with a body has one of these."""


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
        self._authenticator = authenticator
        self._watch = watch or Watch()
        self._health = health
        self._others = others

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's scope, as ASGI has it."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            request_id = _identified(scope["headers"])
            request = _request(scope, receive)
            route = partial(template, request.method, request.path)
            with self._watch.request("rest", route, request.header) as record:
                try:
                    response = await self._finished(request, await self._respond(request), request_id)
                    await _answer(response, send)
                    record.answered(str(int(response.status)))
                except ClientGone:
                    return

    async def _finished(self, request: Request, response: Response, request_id: bytes) -> Response:
        """A response as it goes out, whoever gave it."""
        settings = self._pipeline.embedder.settings.current
        headers: Headers = [*without(response.headers, _OF_THE_SERVER), (_REQUEST_ID, request_id)]
        headers = cors.allowed(request, headers) if settings.enable_cors else cors.forbidden(headers)
        return await compressed(request, Response(response.status, headers, response.body))

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._routed(request)
        except InferenceError as error:
            current().failed(error)
            return self._refusal(request, error)
        except (ClientGone, GeneratorExit):
            raise
        except Exception as error:  # noqa: BLE001  this is the last place to answer
            # The error's own text may hold what the caller sent, so only its type is written down.
            log.error("a request failed with %s", origin(error))  # noqa: TRY400
            internal = InternalError("an internal error; the server's log has its origin")
            current().failed(internal)
            return self._refusal(request, internal)

    async def _routed(self, request: Request) -> Response:
        settings = self._pipeline.embedder.settings.current
        if self._authenticator.is_open:
            web_pages.refuse_foreign(request, settings.allowed_origins, settings.allowed_hosts)
        if settings.enable_cors and (asked := cors.preflight(request)):
            return asked
        if self._health and (probed := await self._health.answer(request)):
            return probed
        if (request.method, request.path.rstrip("/")) == ("POST", inference_service.PATH):
            return await inference_service.answer(self._pipeline.embedder, self._authenticator, request)
        if other := self._other(request.path):
            return await other.answer(request)
        if paths.climbs(request.path):
            raise MalformedRequest("the path has a segment '.' or '..'")
        return await self._pipeline.rest(await self._admitted(request))

    def _refusal(self, request: Request, error: InferenceError) -> Response:
        other = self._other(request.path)
        return other.refusal(error) if other else http_error(error)

    def _other(self, path: str) -> Api | None:
        for other in self._others:
            if other.owns(path):
                return other
        return None

    async def _admitted(self, request: Request) -> Request:
        """The request as it goes on, if its credential allows it; without that no body is read."""
        permission, collection = permissions.of_route(request.method, request.path)
        access = self._authenticator.admit(credential(request.headers), permission, collection)
        if permission is Permission.NOTHING:  # nobody knows whose body it is, and no such route reads one
            return request.without_body()
        if access.everywhere is None and permission is Permission.READ:
            request, text = await read_text(request, self._pipeline.embedder.settings.current.body_bytes)
            if permissions.may_name_others(text):
                others = await beside(len(text), lambda: list(permissions.other_collections(json_text.parse(text))))
                for other in others:
                    access.check(permission, other)
        if access is EVERYTHING:
            return request
        headers = for_qdrant(request.headers, access)
        return request._replace(headers=headers, tenant=access.tenant, unchecked=access.if_value_exists)


def origin(error: BaseException) -> str:
    """An exception's type and the innermost line of code that it came from."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


def _identified(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The request's id, one of our own if the caller has given none: by it, it is found in logs and at Qdrant."""
    for name, value in headers:
        if name == _REQUEST_ID:
            return value
    made = secrets.token_hex(16).encode()
    headers.append((_REQUEST_ID, made))
    return made


def _request(scope: Message, receive: Receive) -> Request:
    path, headers = scope.get("raw_path") or scope["path"].encode(), scope["headers"]
    keys = provider_keys.of_headers(headers)
    return Request(
        method=scope["method"],
        path=paths.normalized(path.decode("latin-1").partition("?")[0]),
        query=scope["query_string"].decode("latin-1"),
        headers=without(headers, frozenset(name.encode() for name in keys)) if keys else headers,
        body=_body(scope, receive),
        keys=keys,
    )


def _body(scope: Message, receive: Receive) -> Body:
    """The body as it comes in; a request that announces none has none."""
    for name, _ in scope["headers"]:
        if name in _ABOUT_BODIES:
            return _parts(receive)
    return b""


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


async def _answer(response: Response, send: Send) -> None:
    headers, body = list(response.headers), response.body
    if isinstance(body, bytes):
        if b"content-length" not in [name for name, _ in headers]:  # that of an answer to HEAD is longer than its body
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    async for part in body:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
