"""The whole path of a request, for both protocols: find, plan, embed, fill, forward, usage.

All or nothing: as long as one object of a request fails, nothing of that request reaches Qdrant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from deployments.catalogue import Catalogue
from deployments.contract import Direction, ImageBatch, LoadedImages, Vector
from deployments.errors import DeadlineExceeded, InternalError, TooLarge, WrongInput
from serve_app.admission import Admission
from serve_app.compression import decompress
from serve_app.exchange import Call, Reply, Request, Response, read
from serve_app.inference import bounds, find_json, find_proto, usage
from serve_app.inference.fill import fill
from serve_app.inference.objects import Slot
from serve_app.inference.places import GRPC_PLACES, Place, rest_place
from serve_app.inference.plan import Group, plan
from serve_app.limits import Limits
from serve_app.router import Input, Router
from serve_app.upstream import Upstream

T = TypeVar("T")
LoadImages = Callable[[ImageBatch], Awaitable[LoadedImages]]
"""One call of the image loader's deployment."""


class Pipeline:
    """What both doors share. `load_images` is absent where no model reads images."""

    def __init__(
        self, catalogue: Catalogue, router: Router, upstream: Upstream, load_images: LoadImages | None, limits: Limits
    ) -> None:
        self.limits = limits
        self._catalogue = catalogue
        self._router = router
        self._upstream = upstream
        self._load_images = load_images
        self._admission = Admission()

    async def rest(self, request: Request) -> Response:
        """Answer an HTTP request; without inference objects its bytes pass through as they are.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
        """
        place = rest_place(request.method, request.path)
        if place is None:
            return await self._upstream.rest(request)
        request, text = await self.read(request)
        if not find_json.may_hold_objects(text):
            return await self._upstream.rest(request)
        return await self._infer_rest(request, text, place)

    async def _infer_rest(self, request: Request, text: bytes, place: Place) -> Response:
        content = find_json.parse(text)
        slots = find_json.find(content, place.schema)
        if not slots:
            return await self._upstream.rest(request)
        used = await self.infer(slots, place.direction, _asked_timeout(request.query))
        answer = await self._upstream.rest(request.rewritten(find_json.dump(content)))
        if answer.status != HTTPStatus.OK:
            return answer
        return answer.rewritten(usage.add_to_json(await read(answer.body) or b"", used))

    async def grpc(self, message: Any, call: Call) -> Reply:
        """Answer a gRPC call, in the same way.

        Raises:
            InferenceError: nothing was forwarded, or Qdrant could not be reached.
            UpstreamStatus: what Qdrant answered instead of a message.
        """
        direction = GRPC_PLACES.get(call.method)
        slots = find_proto.find(message) if direction else []
        if not slots or not direction:
            return await self._upstream.grpc(message, call)
        used = await self.infer(slots, direction, message.timeout if message.HasField("timeout") else None)
        reply = await self._upstream.grpc(message, call)
        usage.add_to_proto(reply.message, used)
        return reply

    async def infer(self, slots: Sequence[Slot], direction: Direction, timeout_s: float | None = None) -> usage.Usage:
        """Fill the slots with the vectors of what stood in them; the tokens that it took.

        `timeout_s` is how long the caller wants to wait, where that is less than the configured time.

        Raises:
            InferenceError: none of the slots may be used.
        """
        bounds.check(slots, self.limits)
        groups = plan(slots, direction, self._catalogue)
        patience = min(self.limits.timeout_s, timeout_s or self.limits.timeout_s)
        with self._admission.admitted(groups, self.limits.queue_tokens):
            try:
                results = await asyncio.wait_for(_all(self._embed(group) for group in groups), patience)
            except asyncio.TimeoutError as error:
                raise DeadlineExceeded(f"the models did not answer within {patience:g} s") from error
        used: dict[str, int] = {}
        for group, (vectors, tokens) in zip(groups, results, strict=True):
            fill(group, vectors)
            used[group.card.name] = used.get(group.card.name, 0) + tokens
        return used

    async def _embed(self, group: Group) -> tuple[list[Vector], int]:
        inputs = await self._images(group) if group.card.modality == "image" else group.inputs
        return await self._router.embed(group.card.name, group.direction, group.options, inputs)

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
        """A request that is looked into, read to its end, and its body decompressed.

        Raises:
            TooLarge: the body is over the limit, as it is or decompressed.
            MalformedRequest: it is not compressed in the way it says.
        """
        limit = self.limits.body_bytes
        body = await read(request.body, limit)
        if body is None:
            raise TooLarge(f"the body is larger than {limit} bytes, the limit for requests that may need inference")
        return replace(request, body=body), decompress(body, request.encoding, limit)


def _asked_timeout(query: str) -> float | None:
    """Qdrant's own parameter `timeout`, in seconds; what is no number is left to Qdrant to refuse."""
    asked = parse_qs(query).get("timeout", [""])[-1]
    return float(asked) if asked.isdecimal() and int(asked) else None


async def _all(parts: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all parts; the first failure ends the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
