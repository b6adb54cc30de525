"""Calls of the other deployments through Ray Serve's handles: a model, the image loader, anything without side effects.

What one replica leaves undone when it dies is done by another. What Ray says of a call becomes an error of ours here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from typing_extensions import override

from deployments.contract import (
    Batch,
    Embeddings,
    Explanation,
    ImageBatch,
    LoadedImages,
    Model,
    ProviderBatch,
    ProviderState,
    Running,
)
from deployments.errors import InferenceError, ModelUnavailable, Overloaded
from serve_app.cluster.near import Near, ReplicaGoneError

_TRIES = 3
_TRIES_WITH_IMAGES = 2
"""Fewer, because the hosts of images see each, and it takes time."""

_PROVIDERS = "the deployment of external providers"


class ReplicatedModel(Model):
    """A model that has replicas in this cluster."""

    def __init__(self, name: str, handle: DeploymentHandle[Any], near: Near) -> None:
        """`near` are those of its replicas that are on this machine."""
        self._name = name
        self._handle = handle
        self._embed = handle.options(method_name="embed")
        self._near = near

    @override
    async def embed(self, batch: Batch) -> Embeddings:
        """As `Model`, by a replica on this machine that has little to do, or else by any."""
        tries = _TRIES
        if near := self._near.best():
            try:
                return await near.embed(batch)
            except ReplicaGoneError:
                tries -= 1
        answer: Embeddings = await surely(lambda: self._embed.remote(batch), self._name, tries)
        return answer

    @override
    async def running(self) -> Running:
        answer: Running = await surely(self._handle.running.remote, self._name)
        return answer

    @override
    async def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        send = partial(self._handle.explain.remote, batch, indices)
        answer: Sequence[Explanation] = await surely(send, self._name)
        return answer

    @override
    async def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        answer: Sequence[str] = await surely(partial(self._handle.texts.remote, ids), self._name)
        return answer


class ReplicatedImageLoader:
    """The image loader, which fetches and decodes what the models that read images are sent."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def load(self, batch: ImageBatch) -> LoadedImages:
        """The images, or what is wrong with each.

        Raises:
            ModelUnavailable, Overloaded: see `surely`.
        """
        send = partial(self._handle.load.remote, batch)
        answer: LoadedImages = await surely(send, "the image loader", _TRIES_WITH_IMAGES)
        return answer


class ReplicatedProviders:
    """The deployment that calls external providers."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle
        self._embed = handle.options(method_name="embed")

    async def embed(self, batch: ProviderBatch) -> Embeddings:
        """The embeddings of a batch.

        Raises:
            InferenceError: what became of the call, which the deployment gives as a result.
            ModelUnavailable, Overloaded: see `surely`.
        """
        answer: Embeddings | InferenceError = await surely(lambda: self._embed.remote(batch), _PROVIDERS)
        if isinstance(answer, InferenceError):
            raise answer
        return answer

    async def states(self) -> Mapping[str, ProviderState]:
        """How the calls of each account went, as one replica saw it."""
        answer: Mapping[str, ProviderState] = await surely(self._handle.states.remote, _PROVIDERS)
        return answer


async def surely(send: Callable[[], Any], what: str, tries: int = _TRIES) -> Any:
    """The answer of a deployment whose work has no side effects: when a replica dies, another one does it again.

    Raises:
        ModelUnavailable: no replica answered.
        Overloaded: the deployment's queue is full.
    """
    for attempt in range(tries):
        response = send()
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except RayActorError:
            await asyncio.sleep(0.05 * 4**attempt)
        except BackPressureError as error:
            raise Overloaded(f"too much work waits for {what}") from error
        except DeploymentUnavailableError as error:
            raise ModelUnavailable(f"{what} is not running", retry_after=10) from error
    raise ModelUnavailable(f"{what} did not answer; its replicas are being replaced", retry_after=5)
