"""The whole path of a request, for both protocols: find, embed, forward, usage.

All or nothing: as long as one object of a request fails, nothing of that request reaches Qdrant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

from deployments.contract import Direction
from deployments.errors import MalformedRequest, TooLarge
from serve_app.embedder import Embedder
from serve_app.inference import find_json, find_proto, usage
from serve_app.inference.message_heads import Head, parsed
from serve_app.inference.objects import Slot, no_model
from serve_app.inference.places import GRPC_PLACES, Place
from serve_app.ledger.meter import Caller
from serve_app.observability.record import Record, current
from serve_app.protocol import deadlines, json_text
from serve_app.protocol.compression import read_plain
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.messages import Call, Reply, Request, Response, read
from serve_app.protocol.offload import LONG, beside
from serve_app.protocol.qdrant_messages import grpc
from serve_app.routes import Route
from serve_app.upstream.base import Upstream

_EXISTS = "/qdrant.Collections/CollectionExists"
_Found = tuple[Any, Sequence[Slot]]
"""A body as values, and its slots."""

_OK, _BAD_REQUEST = HTTPStatus.OK, HTTPStatus.BAD_REQUEST


class Pipeline:
    """What becomes of requests that are Qdrant's own, of either protocol."""

    def __init__(self, embedder: Embedder, upstream: Upstream) -> None:
        self.embedder = embedder
        self._live = embedder.settings
        self._upstream = upstream

    async def rest(self, request: Request, route: Route) -> Response:
        """Answer an HTTP request; without inference objects its bytes pass through as they are.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
        """
        place = route.place
        if place is None:
            return await self._upstream.rest(request)
        record, began = current(), perf_counter()
        try:
            request = await read_plain(request, self._live.current.body_bytes)
        finally:
            record.took("read", began)
        text: Any = request.body
        found = partial(self._found, text, place, record)
        content, slots = found() if len(text) < LONG else await self._found_beside(text, found)
        if slots:
            return await self._infer_rest(request, text, route, content, slots, place.direction, record)
        answer = await self._upstream.rest(request)
        if answer.status == _BAD_REQUEST:
            await beside(len(text), partial(self._explain, text, place))
        return answer

    @staticmethod
    async def _found_beside(text: bytes, found: Callable[[], _Found]) -> _Found:
        """What is found in a long body; in one of numbers nothing is looked for."""
        return (None, ()) if find_json.lacks_letters(text) else await beside(len(text), found)

    def _found(self, text: bytes, place: Place, record: Record) -> _Found:
        """A body as values, and its slots. What is not JSON has none; Qdrant says so in its own words."""
        if not find_json.may_hold_objects(text):
            return None, ()
        settings, began = self._live.current, perf_counter()
        try:
            try:
                content = json_text.parse(text)
            except MalformedRequest:
                return None, ()
            slots = find_json.find(content, place.schema, settings.depth, settings.objects)
            return (content, slots) if slots else (None, ())  # what nobody needs is given up in this thread
        finally:
            record.took("decode", began)

    def _explain(self, text: bytes, place: Place) -> None:
        """Say what Qdrant cannot: that what it refused reads like an inference object without a model.

        Raises:
            MalformedRequest: it does.
        """
        try:
            where = find_json.without_model(json_text.parse(text), place.schema, self._live.current.depth)
        except (MalformedRequest, TooLarge):
            return
        if where is not None:
            raise no_model(where)

    async def _infer_rest(  # noqa: PLR0913, PLR0917  what was found, in which request
        self,
        request: Request,
        text: bytes,
        route: Route,
        content: Any,
        slots: Sequence[Slot],
        direction: Direction,
        record: Record,
    ) -> Response:
        if request.unchecked and (refused := await self._refusal(request)):
            return refused
        limit = request.time.or_within(self._live.current.timeout_s)
        caller = Caller(request.tenant, route.collection, keys=request.keys)
        used = await self.embedder.embed(slots, direction, limit.until, caller)
        query = deadlines.with_seconds_left(request.query, limit)
        began = perf_counter()
        try:
            body = await beside(len(text), partial(find_json.dump, content))
        finally:
            record.took("encode", began)
        answer = await self._upstream.rest(request.rewritten(body, query, limit))
        if answer.status == _BAD_REQUEST and route.place:
            await beside(len(body), partial(self._explain, body, route.place))
        if answer.status != _OK:
            return answer
        answer = answer.rewritten(usage.add_to_json(await read(answer.body) or b"", used))
        if request.tenant is None:
            return answer
        quota = [(name.encode(), value.encode()) for name, value in self.embedder.quota_headers(caller, used)]
        return answer._replace(headers=[*answer.headers, *quota])

    async def _refusal(self, request: Request) -> Response | None:
        """What Qdrant says of a credential that it does not take, before a model runs for it."""
        path = "/".join(request.path.split("/")[:3]) + "/exists"
        question = request.without_body()._replace(method="GET", path=path, query="")
        answer = await self._upstream.rest(question)
        refused = answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        body = await read(answer.body)  # to its end, so that the connection serves the request itself
        return answer._replace(body=body or b"") if refused else None

    async def grpc(self, message: bytes, head: Head, call: Call) -> Reply:
        """Answer a gRPC call, in the same way; a message in which no inference object can stand is not decoded.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
            UpstreamStatus: what Qdrant answered instead of a message.
        """
        settings = self._live.current
        direction = GRPC_PLACES.get(call.method)
        if not direction:
            return await self._upstream.grpc(message, call)
        if len(message) > settings.body_bytes:
            raise TooLarge(
                f"the message has {len(message)} bytes; at most {settings.body_bytes} are allowed (body_bytes)"
            )
        if not head.may_hold_objects:
            return await self._upstream.grpc(message, call)
        record, began = current(), perf_counter()
        try:
            content, slots = await beside(len(message), partial(_found, call.method, message, settings.objects))
        finally:
            record.took("decode", began)
        if not slots:
            return await self._upstream.grpc(message, call)
        return await self._infer_grpc(content, call, slots, direction, len(message))

    async def _infer_grpc(
        self, content: Any, call: Call, slots: Sequence[Slot], direction: Direction, size: int
    ) -> Reply:
        collection = content.collection_name
        if call.unchecked:  # Qdrant raises what it has to say of the credential, before a model runs for it
            question = grpc.CollectionExistsRequest(collection_name=collection).SerializeToString()
            await self._upstream.grpc(question, call._replace(method=_EXISTS))
        limit = call.time.or_within(self._live.current.timeout_s)
        caller = Caller(call.tenant, collection, keys=call.keys)
        used = await self.embedder.embed(slots, direction, limit.until, caller)
        left_s = limit.whole_seconds_left
        began = perf_counter()
        try:
            if getattr(content, "timeout", 0):
                content.timeout = left_s
            message = await beside(size, content.SerializeToString)
        finally:
            current().took("encode", began)
        reply = await self._upstream.grpc(message, call.within(limit))
        answer = usage.add_to_proto(call.method, reply.message, used)
        return Reply(answer, [*reply.metadata, *self.embedder.quota_headers(caller, used)])


def _found(method: str, message: bytes, most: int) -> tuple[Any, Sequence[Slot]]:
    """A message, and its slots."""
    content: Any = parsed(request_class(method), message)
    return content, find_proto.find(content, most)
