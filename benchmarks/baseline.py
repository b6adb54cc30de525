"""The model alone: tokenizer and session in this process, fed in the best way that there is. Nothing can be faster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from deployments.catalogue import catalogue
from deployments.contract import Batch
from deployments.families.chunks import cut
from deployments.families.loading import load_family
from deployments.families.protocol import Family
from deployments.files.store import ModelStore, cache_folder
from deployments.replica.settings import ReplicaSettings

MINILM = "sentence-transformers/all-minilm-l6-v2"
ONE_STREAM = ReplicaSettings(streams=1)
STARTER = catalogue.HOME / "configs" / "models" / "starter.yaml"


def load(model: str = MINILM, settings: ReplicaSettings = ONE_STREAM) -> Family:
    """A starter model, with its files fetched where they are missing."""
    card = catalogue.load(STARTER).find(model, "benchmark")
    return load_family(card, ModelStore(cache_folder()).pull(card), settings.session())


@dataclass
class Baseline:
    """What the model alone does in a second, and how long it takes for one text (the median, in milliseconds)."""

    texts_per_second: float
    one_text_ms: float


def measure(texts: Sequence[str]) -> Baseline:
    """All texts at once, sorted by length and cut by a token budget; then some of them one by one.

    Of all ways of feeding the model that are tried, each twice, the fastest counts: one chunk after the other on all
    cores, or two at a time on half of them each, with different budgets.
    """
    rates = []
    for settings in (ONE_STREAM, ReplicaSettings()):
        family = load(settings=settings)
        _rate(family, texts[:200], settings)
        budgets = (settings.token_budget, 2 * settings.token_budget)
        rates += [_rate(family, texts, settings.model_copy(update={"token_budget": n})) for n in budgets for _ in "12"]
    return Baseline(max(rates), _one_by_one(load(), texts[:200]))


def _rate(family: Family, texts: Sequence[str], settings: ReplicaSettings) -> float:
    """Texts a second."""
    began = time.perf_counter()
    prepared = family.prepare(Batch(texts, "update"))
    with ThreadPoolExecutor(settings.streams) as streams:
        list(streams.map(partial(family.run, prepared), cut(prepared.tokens, settings.token_budget)))
    return len(texts) / (time.perf_counter() - began)


def _one_by_one(family: Family, texts: Sequence[str]) -> float:
    took = []
    for text in texts:
        began = time.perf_counter()
        family.run(family.prepare(Batch([text], "search")), np.arange(1))
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000
