"""What each model is, and how it is at the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any

from deployments.catalogue.card import ANY, ModelCard, RoutedCard
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.providers import Provider
from deployments.catalogue.records import Options
from deployments.contract import Model, ProviderState, Running
from serve_app.cluster.cached import Cached
from serve_app.cluster.model_states import ModelState
from serve_app.inference.plan import MOST_DIMENSIONS
from serve_app.ledger import live_rates
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.live_rates import Figures

States = Callable[[], Awaitable[Mapping[str, ModelState]]]
"""Tells the states of all models, by the catalogue's names."""

AskProviders = Callable[[], Awaitable[Mapping[str, ProviderState]]]
"""Tells how the calls of external providers went, by the catalogue's names."""

_KEPT_S = 30.0
"""A replica that comes with a config update may run another way than the one before it."""

_PATIENCE_S = 0.1
"""A busy replica answers after its batches: the list does not wait for that."""

_PROVIDERS_KEPT_S = 3.0
_NOT_KNOWN = Running(None, None)
_UNKNOWN = ModelState("unknown")


class Models:
    """All models with their states."""

    def __init__(
        self,
        catalogue: Catalogue,
        states: States,
        models: Mapping[str, Model],
        ledger: Ledger,
        providers: AskProviders | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._states = states
        self._models = models
        self._ledger = ledger
        self._running: dict[str, Cached[Running]] = {}
        self._providers = Cached[Mapping[str, ProviderState]](
            providers or _no_providers, {}, _PROVIDERS_KEPT_S, _PATIENCE_S
        )

    async def describe(self, free_tokens: int) -> list[dict[str, Any]]:
        """Every model as the API has it; `free_tokens` is the allowance of each."""
        states = await self._states()
        figures = live_rates.by_model(self._ledger.live)
        outside = await self._providers.read()
        described = []
        cards = self._catalogue.cards
        for card, running in zip(cards, await self._how_they_run(cards, states), strict=True):
            external = outside.get(card.name, ProviderState()) if card.provider else None
            state = _with_provider(states.get(card.account, _UNKNOWN), external)
            described.append(
                {
                    **_card(card, self._catalogue),
                    "free_tokens_per_month": free_tokens,
                    "state": "off" if self._is_off(card) else state.state,
                    "reason": state.reason,
                    "replicas": {"running": state.running, "starting": state.starting},
                    **asdict(running),
                    "external": _external(card, external),
                    "live": asdict(figures.get(card.account, Figures())),
                }
            )
        return described

    def _is_off(self, card: ModelCard) -> bool:
        switches = self._ledger.switches
        return switches.all_off or card.account in switches.models

    async def _how_they_run(self, cards: Sequence[ModelCard], states: Mapping[str, ModelState]) -> Sequence[Running]:
        """Only models with replicas are asked: others would be woken."""
        return await asyncio.gather(*(self._how_it_runs(card, states.get(card.account, _UNKNOWN)) for card in cards))

    async def _how_it_runs(self, card: ModelCard, state: ModelState) -> Running:
        if card.provider:
            return Running(card.provider.kind, None)
        model = self._models.get(card.network)
        if not state.running or model is None:  # None: it was taken away a moment ago
            self._running.pop(card.name, None)
            return _NOT_KNOWN
        if card.name not in self._running:
            self._running[card.name] = Cached(model.running, _NOT_KNOWN, _KEPT_S, _PATIENCE_S)
        return await self._running[card.name].read()


async def _no_providers() -> Mapping[str, ProviderState]:
    return {}


def _with_provider(state: ModelState, external: ProviderState | None) -> ModelState:
    """The state of a model whose provider may be away while the deployment that calls it is there."""
    if external and state.state == "ready" and external.reachable is False:
        return replace(state, state="unreachable", reason=external.last_error)
    return state


def _external(card: ModelCard, state: ProviderState | None) -> dict[str, Any] | None:
    """What there is to know of an external provider; nothing of keys but the name under which a caller brings one."""
    if card.provider is None or state is None:
        return None
    known = {"host": card.provider.host, "key": card.provider.key_name, "example": _example(card, card.provider)}
    return {**known, **asdict(state)}


def _example(card: ModelCard, provider: Provider) -> dict[str, Any] | None:
    """A model to ask for where a route stands for all of a provider's."""
    if not isinstance(card, RoutedCard) or provider.spec.example is None:
        return None
    model, dimensions = provider.spec.example
    return {"model": card.name.removesuffix(ANY) + model, "dimensions": dimensions}


def _card(card: ModelCard, catalogue: Catalogue) -> dict[str, Any]:
    return {
        "name": card.name,
        "aliases": card.aliases,
        "family": card.family,
        "modality": card.modality,
        "reads": card.reads,
        "vector": card.vector_kind,
        "dimensions": card.dimensions,
        "modifier": card.spec.modifier,
        "context_window": card.context_window,
        "prefixes": card.prefixes.model_dump(),
        "options": sorted(options(card)),
        "image_limits": card.image_limits.model_dump() if card.image_limits else None,
        "shared_with": [other.name for other in catalogue if _share_a_space(card, other)],
        "price_per_million_tokens": card.price_per_million_tokens,
        "licence": card.licence,
        "model_card_url": card.model_card_url,
    }


def options(card: ModelCard) -> dict[str, Any]:
    """JSON Schema of each option that an inference object for this model may have."""
    if card.provider:
        return _options_of_provider(card.provider, card.dimensions)
    own = _options_of_family(card.spec.options)
    if card.instruction:
        what = f"what the query is for; default: {card.instruction.default}"
        own = {**own, "instruction": {"type": "string", "description": what}}
    if not card.matryoshka:
        return own
    shortest = min(card.matryoshka)
    return {**own, "mrl": {"type": "integer", "minimum": shortest, "maximum": card.dimensions, "description": _MRL}}


@lru_cache
def _options_of_family(family: type[Options]) -> dict[str, Any]:
    """Kept: to work it out takes milliseconds, and the console asks every few seconds for all models."""
    schema = family.model_json_schema()
    return {name: {**part, "$defs": schema.get("$defs", {})} for name, part in schema["properties"].items()}


_MRL = "cuts the vector to its first N numbers"


def _options_of_provider(provider: Provider, dimensions: int | None) -> dict[str, Any]:
    """The options that mean something here; all others go to the provider."""
    mrl = {"type": "integer", "minimum": 1, "maximum": dimensions or MOST_DIMENSIONS, "description": _MRL}
    shorter = {"type": "integer", "minimum": 1, "description": "asks the provider for shorter vectors"}
    own = {provider.spec.dimensions: shorter, "mrl": mrl}
    key = {"type": "string", "format": "password", "description": "a key of yours for the provider"}
    return {provider.key_name: key, **own} if provider.key_name else own


def _share_a_space(card: ModelCard, other: ModelCard) -> bool:
    """Whether two models are the sides of one CLIP: they are read from the same weights, or their names say so."""
    sides = card.family != other.family and card.spec.checkpoint == other.spec.checkpoint is not None
    same = bool(_weights(card) & _weights(other)) or _stem(card) == _stem(other)
    return sides and same and card.dimensions == other.dimensions


def _weights(card: ModelCard) -> set[str]:
    files = [part for source in card.sources for part in source.files.items()]
    return {file.sha256 for name, file in files if name.startswith("model.") and file.sha256}


def _stem(card: ModelCard) -> str:
    return card.name.lower().removesuffix(card.spec.suffix)
