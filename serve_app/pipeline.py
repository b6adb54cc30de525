"""The whole path of a request, for both protocols: find, plan, embed, fill, forward, usage.

All or nothing: as long as one object of a request fails, nothing of that request reaches Qdrant.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Direction, ImageBatch, LoadedImages, Vector
from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    ModelUnavailable,
    TemporaryError,
    TooLarge,
    WrongInput,
)
from serve_app.batching.admission import Admission
from serve_app.batching.router import Input, Router
from serve_app.config.settings import Limits
from serve_app.inference import bounds, find_json, find_proto, usage
from serve_app.inference.fill import fill
from serve_app.inference.objects import Slot
from serve_app.inference.places import GRPC_PLACES, Place, rest_place
from serve_app.inference.plan import Group, plan
from serve_app.ledger.meter import ANONYMOUS, Caller, Meter, Metered
from serve_app.observability.record import current, step
from serve_app.protocol.compression import read_plain
from serve_app.protocol.error_responses import quota_headers
from serve_app.protocol.messages import Call, Reply, Request, Response, TimeLimit, read
from serve_app.upstream.base import Upstream

T = TypeVar("T")
_TIMEOUT = re.compile(r"(?:^|(?<=&))timeout=([0-9]{1,9})(?=&|$)")
"""Qdrant's own parameter, in seconds; what is no number is left to Qdrant to refuse."""

LoadImages = Callable[[ImageBatch], Awaitable[LoadedImages]]
"""One call of the image loader's deployment."""

ModelStates = Callable[[], Awaitable[Mapping[str, str]]]
"""The state of each model in a word: `ready`, or why it is not."""

_READY = "ready"
_STATES_S = 1.0
_NEW_NODE_S = 30.0
"""After which to ask again for a model without replicas; a node takes minutes to come, a replica half of one."""


class Pipeline:
    """What both doors share. `load_images` is absent where no model reads images."""

    def __init__(
        self, catalogue: Catalogue, router: Router, upstream: Upstream, load_images: LoadImages | None, limits: Limits
    ) -> None:
        self.limits = limits
        self.catalogue = catalogue
        self._router = router
        self._upstream = upstream
        self._load_images = load_images
        self._admission = Admission()
        self.meter = Meter()
        self.model_states: ModelStates = _unknown

    def waiting_tokens(self) -> Mapping[str, int]:
        """The tokens of admitted requests that are not done yet, by model; an estimate."""
        return self._admission.waiting()

    def batches_in_flight(self) -> Mapping[str, int]:
        """The batches that are under way, by model."""
        return self._router.in_flight()

    async def rest(self, request: Request) -> Response:
        """Answer an HTTP request; without inference objects its bytes pass through as they are.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
        """
        request = replace(request, time=self._time(_asked_timeout(request.query)))
        place = rest_place(request.method, request.path)
        if place is None:
            return await self._upstream.rest(request)
        with step("read"):
            request, text = await self.read(request)
        if not find_json.may_hold_objects(text):
            return await self._upstream.rest(request)
        return await self._infer_rest(request, text, place)

    async def _infer_rest(self, request: Request, text: bytes, place: Place) -> Response:
        with step("decode"):
            content = find_json.parse(text)
            slots = find_json.find(content, place.schema, self.limits.depth)
        if not slots:
            return await self._upstream.rest(request)
        limit = self._time_with_inference(request.time)
        caller = Caller(request.tenant, _collection(request.path))
        used = await self.infer(slots, place.direction, limit.until, caller)
        query = _TIMEOUT.sub(f"timeout={_left(limit)}", request.query)
        with step("encode"):
            body = find_json.dump(content)
        answer = await self._upstream.rest(replace(request, query=query, time=limit).rewritten(body))
        if answer.status != HTTPStatus.OK:
            return answer
        answer = answer.rewritten(usage.add_to_json(await read(answer.body) or b"", used))
        quota = [(name.encode(), value.encode()) for name, value in self.quota_headers(caller, used)]
        return replace(answer, headers=[*answer.headers, *quota])

    async def grpc(self, message: Any, call: Call) -> Reply:
        """Answer a gRPC call, in the same way.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
            UpstreamStatus: what Qdrant answered instead of a message.
        """
        call = replace(call, time=self._time(_asked_of_message(message)))
        direction = GRPC_PLACES.get(call.method)
        if not direction:
            return await self._upstream.grpc(message, call)
        size = message.ByteSize()
        if size > self.limits.body_bytes:
            raise TooLarge(f"the message has {size} bytes; at most {self.limits.body_bytes} are allowed (body_bytes)")
        with step("decode"):
            slots = find_proto.find(message)
        if not slots:
            return await self._upstream.grpc(message, call)
        return await self._infer_grpc(message, call, slots, direction)

    async def _infer_grpc(self, message: Any, call: Call, slots: Sequence[Slot], direction: Direction) -> Reply:
        limit = self._time_with_inference(call.time)
        caller = Caller(call.tenant, message.collection_name)
        used = await self.infer(slots, direction, limit.until, caller)
        left = _left(limit)
        if _asked_of_message(message):
            message.timeout = left
        reply = await self._upstream.grpc(message, replace(call, time=limit))
        usage.add_to_proto(reply.message, used)
        return reply._replace(metadata=[*reply.metadata, *self.quota_headers(caller, used)])

    def _time(self, asked_s: int) -> TimeLimit:
        """What a request may take that begins now, and whose caller asked for so many seconds, or for none (0)."""
        until = time.monotonic() + asked_s if asked_s else math.inf
        return TimeLimit(until, max(self.limits.qdrant_timeout_s, asked_s))

    def _time_with_inference(self, limit: TimeLimit) -> TimeLimit:
        return limit if limit.until < math.inf else limit._replace(until=time.monotonic() + self.limits.timeout_s)

    async def infer(
        self, slots: Sequence[Slot], direction: Direction, until: float = math.inf, caller: Caller = ANONYMOUS
    ) -> usage.Usage:
        """Fill the slots with the vectors of what stood in them; the tokens that it took.

        `until` is for how long the caller waits (`time.monotonic()`), where that is less than the configured time.

        Raises:
            InferenceError: none of the slots may be used.
        """
        with step("decode"):
            bounds.check(slots, self.limits)
            groups = plan(slots, direction, self.catalogue)
        current().planned(direction, groups)
        patience = min(self.limits.timeout_s, until - time.monotonic())
        with (
            self.meter.metered(caller, direction, groups) as metered,
            self._admission.admitted(groups, self.limits.queue_tokens),
        ):
            try:
                results = await asyncio.wait_for(_all(self._embed(group, metered) for group in groups), patience)
            except asyncio.TimeoutError as error:
                raise await self._too_late(groups, patience) from error
            used: dict[str, int] = {}
            with step("encode"):
                for group, (vectors, tokens) in zip(groups, results, strict=True):
                    fill(group, vectors)
                    used[group.card.name] = used.get(group.card.name, 0) + tokens
            metered.tokens = used
            current().used(used)
        return used

    def quota_headers(self, caller: Caller, used: usage.Usage) -> Sequence[tuple[str, str]]:
        """What is left of the caller's quotas on these models, in headers; nothing where it has none."""
        left = self.meter.left(caller, used)
        return quota_headers(left.limit, left.tokens, left.reset_s) if left else ()

    async def _too_late(self, groups: Sequence[Group], patience: float) -> TemporaryError:
        """What to say where the models did not answer in time: of one, no replica may have come."""
        try:
            states = await asyncio.wait_for(self.model_states(), _STATES_S)
        except asyncio.TimeoutError:
            states = {}
        seconds = f"{round(patience, 2):g} s (timeout_s, or the caller's own)"
        for name in (group.card.name for group in groups):
            if states.get(name, _READY) != _READY:
                return ModelUnavailable(f"{name} is {states[name]}: no replica came within {seconds}", _NEW_NODE_S)
        return DeadlineExceeded(f"the models did not answer within {seconds}")

    async def _embed(self, group: Group, metered: Metered) -> tuple[list[Vector], int]:
        model = group.card.name
        inputs: Sequence[Input] = group.inputs
        with metered.timed(model):
            if group.card.modality == "image":
                with step("images", model):
                    inputs = await self._images(group)
            with step("embed", model):
                return await self._router.embed(model, group.direction, group.options, inputs)

    async def _images(self, group: Group) -> Sequence[Input]:
        """The decoded images of a group."""
        if self._load_images is None:
            raise InternalError("an image model is served without an image loader")
        loaded = await self._load_images(ImageBatch(group.inputs, group.card.name))
        pixels: list[Input] = []
        for position, image in enumerate(loaded.images):
            if isinstance(image, str):
                raise WrongInput(f"{group.where(position)}.image: {image}")
            pixels.append(image)
        return pixels

    async def read(self, request: Request) -> tuple[Request, bytes]:
        """A request that is looked into, read to its end and decompressed, and its body; see `read_plain`."""
        request = await read_plain(request, self.limits.body_bytes)
        return request, await read(request.body) or b""


def _collection(path: str) -> str:
    return unquote(path.strip("/").split("/", 2)[1])


def _asked_timeout(query: str) -> int:
    """How many seconds a caller wants to wait; 0 where it does not say."""
    asked = _TIMEOUT.findall(query)
    return int(asked[-1]) if asked else 0


def _asked_of_message(message: Any) -> int:
    """The same of a gRPC message."""
    return int(message.timeout) if "timeout" in message.DESCRIPTOR.fields_by_name else 0


def _left(limit: TimeLimit) -> int:
    """How many seconds Qdrant has, as it counts them: whole ones, and at least one.

    Raises:
        DeadlineExceeded: none are left.
    """
    if limit.left_s <= 0:
        raise DeadlineExceeded("the request's time was over before Qdrant was asked; nothing was sent to it")
    return max(1, math.ceil(limit.left_s))


async def _all(parts: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all parts; the first failure ends the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _unknown() -> Mapping[str, str]:
    return {}
