"""From slots to vectors: plan, admit, meter, embed, fill.

The pipeline, `/inference`, OpenAI's API and the playground find inference objects in different places; what becomes of
them is the same.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

from deployments.catalogue.card import ImageLimits, ImageShape
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.providers import Provider
from deployments.contract import Direction, ImageBatch, LoadedImages, Vector
from deployments.errors import (
    DeadlineExceeded,
    InferenceError,
    InternalError,
    ModelUnavailable,
    TemporaryError,
    WrongInput,
)
from serve_app.batching import lanes
from serve_app.batching.admission import Admission
from serve_app.batching.lanes import CallProviders
from serve_app.batching.router import Input, Lane, Router
from serve_app.batching.vector_cache import VectorCache
from serve_app.config.settings import LiveSettings
from serve_app.inference import bounds
from serve_app.inference.fill import fill
from serve_app.inference.objects import Slot
from serve_app.inference.plan import Group, Recipes, objects_by_model, plan
from serve_app.inference.provider_keys import KeyRing, OperatorKeys
from serve_app.inference.usage import Usage
from serve_app.ledger.meter import ANONYMOUS, Caller, Meter, Metered
from serve_app.observability.record import Record, current
from serve_app.protocol.error_responses import quota_headers

T = TypeVar("T")

LoadImages = Callable[[ImageBatch], Awaitable[LoadedImages]]
"""One call of the image loader's deployment."""

ModelStates = Callable[[], Awaitable[Mapping[str, str]]]
"""The state of each model in a word: `ready`, or why it is not."""

_READY = "ready"
_STATES_S = 1.0
_NEW_NODE_S = 30.0
"""After which to ask again for a model without replicas; a node takes minutes to come, a replica half of one."""


_Result = tuple[list[Vector], int]
"""The vectors of a group's inputs, and the tokens that the model read for them."""


class _Asked(NamedTuple):
    """What is told of a request while the models work for it, and who asks."""

    record: Record
    metered: Metered
    tenant: str | None


@dataclass(frozen=True)
class Embedder:
    """What every API of the gateway has in common.

    `load_images` is absent if no model reads images, `providers` if none is behind somebody's HTTP API.
    """

    catalogue: Catalogue
    settings: LiveSettings
    router: Router
    load_images: LoadImages | None
    meter: Meter
    model_states: ModelStates
    admission: Admission = field(default_factory=Admission)
    providers: CallProviders | None = None
    vectors: VectorCache | None = None
    operator_keys: OperatorKeys = field(default_factory=OperatorKeys)
    recipes: Recipes = field(default_factory=Recipes)

    async def embed(
        self, slots: Sequence[Slot], direction: Direction, until: float = math.inf, caller: Caller = ANONYMOUS
    ) -> Usage:
        """Fill the slots with the vectors of what stood in them; the tokens that it took.

        `until` is for how long the caller waits (`time.monotonic()`), if that is less than the configured time.

        Raises:
            InferenceError: none of the slots may be used.
        """
        record, settings = current(), self.settings.current
        groups: Sequence[Group] = ()
        try:
            groups = self._planned(slots, direction, caller, record)
            objects = objects_by_model(groups)
            record.planned(direction, objects)
            patience_s = min(settings.timeout_s, until - time.monotonic())
            with (
                self.meter.metered(caller, direction, groups, objects) as metered,
                self.admission.admitted(groups, settings.queue_tokens, settings.provider_requests),
            ):
                results = await self._within(patience_s, groups, _Asked(record, metered, caller.tenant))
                used = _filled(groups, results, record)
            record.used(metered.tokens)
        except InferenceError as error:
            self.meter.failed(error, {group.account for group in groups})
            raise
        else:
            return used

    def _planned(self, slots: Sequence[Slot], direction: Direction, caller: Caller, record: Record) -> Sequence[Group]:
        settings, began = self.settings.current, time.perf_counter()
        try:
            bounds.check(slots, settings)
            keys = KeyRing(caller.keys, caller.tenant, self.operator_keys)
            return plan(slots, direction, self.catalogue, keys, any_mrl=settings.any_mrl, recipes=self.recipes)
        finally:
            record.took("decode", began)

    def quota_headers(self, caller: Caller, used: Usage) -> Sequence[tuple[str, str]]:
        """What is left of the caller's quotas on these models, in headers; nothing if it has none."""
        if caller.tenant is None:
            return ()
        left = self.meter.left(caller, {self.catalogue.find(name, "").account: used[name] for name in used})
        return quota_headers(left.limit, left.tokens, left.reset_s) if left else ()

    async def _within(self, patience_s: float, groups: Sequence[Group], asked: _Asked) -> Sequence[_Result]:
        """The vectors of all groups, in the time that there is. A lone group needs no task of its own."""
        if patience_s <= 0:
            raise await self._too_late(groups, patience_s)
        until = time.monotonic() + patience_s
        try:
            if len(groups) == 1:
                return [await self._vectors(groups[0], asked, until)]
            return await _all([self._vectors(group, asked, until) for group in groups])
        except asyncio.TimeoutError as error:
            raise await self._too_late(groups, patience_s) from error

    async def _too_late(self, groups: Sequence[Group], patience_s: float) -> TemporaryError:
        """What to say if the models did not answer in time: of one, no replica may have come."""
        try:
            states = await asyncio.wait_for(self.model_states(), _STATES_S)
        except asyncio.TimeoutError:
            states = {}
        left = max(0.0, round(patience_s, 2))
        seconds = f"{left:g} s, what was left of the time for the request (timeout_s, or the caller's own)"
        for name in (group.card.account for group in groups):
            if states.get(name, _READY) != _READY:
                return ModelUnavailable(f"{name} is {states[name]}: no replica came within {seconds}", _NEW_NODE_S)
        return DeadlineExceeded(f"the models did not answer within {seconds}")

    async def _vectors(self, group: Group, asked: _Asked, until: float) -> _Result:
        """Those that are known, or else those that the model computes now. Both count the same tokens."""
        key = self.vectors.key(group, asked.tenant) if self.vectors else None
        if self.vectors is None or key is None:
            return await self._computed(group, asked, until)
        known = self.vectors.find(key, group.card.name)
        if known is not None:
            asked.metered.took(group.account, known.tokens)
            return [known.vector], known.tokens
        vectors, tokens = await self._computed(group, asked, until)
        self.vectors.keep(key, vectors[0], tokens)
        return vectors, tokens

    async def _computed(self, group: Group, asked: _Asked, until: float) -> _Result:
        model, provider, record, metered = group.account, group.card.provider, asked.record, asked.metered
        inputs: Sequence[Input] = group.inputs
        began = since = time.perf_counter()
        if group.reads == "image" and provider is None:
            try:
                inputs = await asyncio.wait_for(self._images(group), until - time.monotonic())
            finally:
                since = record.took("images", began, model)
        try:
            return await self.router.embed(
                model,
                group.direction,
                group.options,
                inputs,
                read=partial(metered.took, model),
                kinds=group.kinds,
                as_json=group.as_json,
                lane=self._lane(group, provider) if provider else None,
                until=until,
            )
        finally:
            metered.worked(model, record.took("embed", since, model) - began)

    def _lane(self, group: Group, provider: Provider) -> Lane:
        """The way to an external provider."""
        if self.providers is None:
            raise InternalError("a model of an external provider is served without the deployment of providers")
        return lanes.lane(group, provider, self.providers)

    async def _images(self, group: Group) -> Sequence[Input]:
        """The decoded images of a group."""
        if self.load_images is None:
            raise InternalError("an image model is served without an image loader")
        loaded = await self.load_images(_image_batch(group))
        pixels: list[Input] = []
        for position, image in enumerate(loaded.images):
            if isinstance(image, str):
                raise WrongInput(f"{group.where(position)}.image: {image}")
            pixels.append(image)
        return pixels


def _image_batch(group: Group) -> ImageBatch:
    card = group.card
    side, limits = card.image_size or 0, card.image_limits or ImageLimits()  # one that reads images has both
    shape = card.image_shape or ImageShape()
    sources = [str(source) for source in group.inputs]
    return ImageBatch(
        sources, card.name, side, limits.max_bytes, limits.max_pixels, fit=shape.fit, resample=shape.resample
    )


def _filled(groups: Sequence[Group], results: Sequence[_Result], record: Record) -> Usage:
    """Put the vectors in their slots; the tokens by model."""
    used: dict[str, int] = {}
    began = time.perf_counter()
    try:
        for group, (vectors, tokens) in zip(groups, results, strict=True):
            fill(group, vectors)
            name = group.card.name
            used[name] = used[name] + tokens if name in used else tokens
    finally:
        record.took("encode", began)
    return used


async def _all(parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all parts; the first failure ends the others. `asyncio.gather` takes three times the calls."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(part) for part in parts]
    missing, ended = len(tasks), loop.create_future()

    def has_ended(task: asyncio.Task[T]) -> None:
        nonlocal missing
        missing -= 1
        has_failed = task.cancelled() or task.exception() is not None
        if not ended.done() and (has_failed or not missing):
            ended.set_result(None)

    for task in tasks:
        task.add_done_callback(has_ended)
    try:
        if tasks:
            await ended
        for task in tasks:
            if task.done():
                task.result()  # or the failure
        return [task.result() for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
