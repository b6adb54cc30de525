"""The ways to external providers: one for each model, kind of input and key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deployments.catalogue.providers import Provider
from deployments.contract import Batch, Embeddings, ProviderBatch, Reads, Target
from serve_app.batching.router import Lane
from serve_app.config.settings import Coalescing
from serve_app.inference.plan import Group
from serve_app.inference.provider_keys import digest

CallProviders = Callable[[ProviderBatch], Awaitable[Embeddings]]
"""One call of the deployment of external providers."""

_PARTIAL_BATCHES = 8
"""More than for a model of this cluster: the way is long, and what waits would wait for a second."""

_CHARACTERS_OF_IMAGES = 16 * 1024 * 1024


def lane(group: Group, provider: Provider, call: CallProviders) -> Lane:
    """The way of a group. Its batches are what the provider takes in one request; only equal keys share one."""
    card, reads, key = group.card, group.reads, group.key
    target = Target(
        card.name, card.account, provider.kind, provider.address, provider.model, card.dimensions, provider.may_fetch
    )

    async def send(batch: Batch) -> Embeddings:
        return await call(ProviderBatch(batch, reads, target, key))

    return Lane(send, b"\0".join([card.name.encode(), reads.encode(), digest(key)]), _limits(provider, reads))


def _limits(provider: Provider, reads: Reads) -> Coalescing:
    """What a request to a provider may hold."""
    if reads == "image":
        return Coalescing(
            inputs=provider.spec.images, characters=_CHARACTERS_OF_IMAGES, max_partial_batches=_PARTIAL_BATCHES
        )
    return Coalescing(
        inputs=provider.inputs or provider.spec.inputs,
        characters=provider.characters or provider.spec.characters,
        max_partial_batches=_PARTIAL_BATCHES,
    )
