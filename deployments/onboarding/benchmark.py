"""How fast a model is on this machine, without the service around it."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Pair
from deployments.families.protocol import Family
from deployments.networks.layouts import padded_length
from deployments.onboarding.in_process import TOKEN_BUDGET, embed

_LENGTHS = (8, 32, 128, 512)
_MOST_INPUTS = 256
_QUERY = "recipe with chocolate"
_SENTENCE = (
    "a search engine finds what people mean and not only what they say so that the recipe for cookies with chocolate "
    "comes up when somebody is hungry for something sweet although none of these words stands in the question"
)


@dataclass(frozen=True)
class Result:
    """Inputs of one length: `tokens` is what the model reads of each, `latency` the median of one alone, in seconds.

    The rates are of as many inputs at once as a replica runs at once.
    """

    tokens: int
    inputs_per_second: float
    tokens_per_second: float
    latency: float


def measure(family: Family, card: ModelCard, seconds: float) -> Iterator[Result]:
    """Measure a model with inputs of several lengths, for about `seconds` each.

    A call that has begun is waited for, so a large model may take longer.
    """
    for one in _inputs(family, card):
        tokens = _tokens(family, one)
        rows = min(_MOST_INPUTS, max(1, TOKEN_BUDGET // padded_length(tokens)))
        latency = _median_time(partial(embed, family, Batch([one], "search")), seconds / 2)
        together = _median_time(partial(embed, family, Batch([one] * rows, "update")), seconds / 2)
        yield Result(tokens, rows / together, rows * tokens / together, latency)


def _median_time(call: Callable[[], object], seconds: float) -> float:
    """How long a call takes, in seconds; the first one, which may have something to set up, does not count."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _inputs(family: Family, card: ModelCard) -> Sequence[Any]:
    """A text of each length that the model can read, or a query with such a text, and an image if it reads images."""
    side = int(card.image_size or 0)
    images = [np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)] if "image" in card.reads else []
    if card.modality == "image":
        return images
    window = card.context_window or max(_LENGTHS)
    make = _pair if card.modality == "pair" else _repeated
    lengths = {int(card.context_window or 0)} if card.filled_with is not None else {min(n, window) for n in _LENGTHS}
    return [*(_sized(family, make, length) for length in sorted(lengths)), *images]


def _sized(family: Family, make: Callable[[int], Any], tokens: int) -> Any:
    """An input of about as many tokens, found by trying; `make` makes one with a text of so many words."""
    words = tokens
    for _ in range(3):
        words = max(1, round(words * tokens / _tokens(family, make(words))))
    return make(words)


def _pair(words: int) -> Pair:
    return Pair(_QUERY, _repeated(words))


def _repeated(words: int) -> str:
    return " ".join(itertools.islice(itertools.cycle(_SENTENCE.split()), words))


def _tokens(family: Family, one: Any) -> int:
    """What the model reads of an input, at least 1: BM25 leaves out words that say nothing."""
    return max(1, int(family.prepare(Batch([one], "update")).tokens[0]))
