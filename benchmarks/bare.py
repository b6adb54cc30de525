"""The bare model: tokenizer and session in this process, fed in the best way that there is. Nothing can be faster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deployments import catalogue
from deployments.contract import Batch
from deployments.families import load_family
from deployments.families.chunks import cut
from deployments.families.protocol import Family
from deployments.model_store import ModelStore, cache_folder
from deployments.replica import ReplicaSettings

MINILM = "sentence-transformers/all-minilm-l6-v2"
STARTER = catalogue.HOME / "configs" / "models" / "starter.yaml"


def load(model: str = MINILM, settings: ReplicaSettings = ReplicaSettings()) -> Family:  # noqa: B008  frozen
    """A starter model, with its files fetched where they are missing."""
    card = catalogue.load(STARTER).find(model, "benchmark")
    return load_family(card, ModelStore(cache_folder()).pull(card), settings.session())


@dataclass
class Bare:
    """What the bare model does in a second, and how long it takes for one text (the median, in milliseconds)."""

    texts_per_second: float
    tokens_per_second: float
    one_text_ms: float


def measure(family: Family, texts: Sequence[str], budget: int = ReplicaSettings().token_budget) -> Bare:
    """All texts at once, sorted by length and cut by the token budget; then some of them one by one."""
    _everything(family, texts[:50], budget)
    began = time.perf_counter()
    tokens = _everything(family, texts, budget)
    elapsed = time.perf_counter() - began
    return Bare(len(texts) / elapsed, tokens / elapsed, _one_by_one(family, texts[:200]))


def _everything(family: Family, texts: Sequence[str], budget: int) -> int:
    prepared = family.prepare(Batch(texts, "update"))
    for positions in cut(prepared.tokens, budget):
        family.run(prepared, positions)
    return int(prepared.tokens.sum())


def _one_by_one(family: Family, texts: Sequence[str]) -> float:
    took = []
    for text in texts:
        began = time.perf_counter()
        family.run(family.prepare(Batch([text], "search")), np.arange(1))
        took.append(time.perf_counter() - began)
    return float(np.median(took)) * 1000
