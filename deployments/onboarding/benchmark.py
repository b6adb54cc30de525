"""How fast a model is on this machine, without the service around it."""

from __future__ import annotations

import asyncio
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
from deployments.metrics.replica import ReplicaMeasures
from deployments.networks.layouts import padded_length
from deployments.replica.settings import ReplicaSettings
from deployments.replica.work import Work
from deployments.replica.worker import Worker

_LENGTHS = (8, 32, 128, 512)
_MIXED = (8, 12, 16, 400, 10, 24, 150, 14)
"""Short queries beside passages, in the order in which they come."""
_ROUNDS = 2
"""How often each of these lengths is in a batch."""
_MIXED_BATCHES = 4
"""How many such batches wait together."""
_MOST_INPUTS = 256
_QUERY = "recipe with chocolate"
_SENTENCE = (
    "a search engine finds what people mean and not only what they say so that the recipe for cookies with chocolate "
    "comes up when somebody is hungry for something sweet although none of these words stands in the question"
)


@dataclass(frozen=True)
class Result:
    """Inputs of one length or of mixed ones: `tokens` are the fewest and the most that the model reads of one.

    `latency` is the median time of one alone, in seconds, of mixed ones the mean. The rates are those of a replica with
    enough to do: of one length as much as it runs at once, of mixed ones batches that wait together.
    """

    tokens: tuple[int, int]
    inputs_per_second: float
    tokens_per_second: float
    latency: float


class _Replica:
    """A model with the threads and the queue of a replica."""

    def __init__(self, family: Family, settings: ReplicaSettings) -> None:
        self._family = family
        self._worker = Worker(ReplicaMeasures("benchmark"))
        self._worker.reconfigure(settings.streams, settings.token_budget)
        self._loop = asyncio.new_event_loop()

    def embed(self, batches: Sequence[Batch]) -> None:
        """Have batches that come together run to the last one's end."""
        self._loop.run_until_complete(self._embedded(batches))

    async def _embedded(self, batches: Sequence[Batch]) -> None:
        await asyncio.gather(*(self._worker.run(Work(self._family, self._family.prepare(one))) for one in batches))

    def close(self) -> None:
        """End the threads."""
        self._worker.close()
        self._loop.close()


def measure(family: Family, card: ModelCard, seconds: float, settings: ReplicaSettings) -> Iterator[Result]:
    """Measure a model with inputs of several lengths, and with mixed ones, for about `seconds` each.

    It runs as in a replica with these settings. A call that has begun is waited for, so a large model may take longer.
    """
    replica = _Replica(family, settings)
    try:
        for inputs in _inputs(family, card):
            yield _measured(replica, family, inputs, seconds, settings)
    finally:
        replica.close()


def _measured(
    replica: _Replica, family: Family, inputs: Sequence[Any], seconds: float, settings: ReplicaSettings
) -> Result:
    """Of one input, or of several that differ in length."""
    tokens = [_tokens(family, one) for one in inputs]
    if len(inputs) == 1:
        rows = min(_MOST_INPUTS, settings.streams * max(1, settings.token_budget // padded_length(tokens[0])))
        batches = [Batch([*inputs] * rows, "update")]
    else:
        batches = [Batch([*inputs] * _ROUNDS, "update")] * _MIXED_BATCHES

    def alone() -> None:
        for one in inputs:
            replica.embed([Batch([one], "search")])

    latency = _median_time(alone, seconds / 2) / len(inputs)
    together = _median_time(partial(replica.embed, batches), seconds / 2)
    count = sum(map(len, batches))
    ends = min(tokens), max(tokens)
    return Result(ends, count / together, count * sum(tokens) / len(tokens) / together, latency)


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


def _inputs(family: Family, card: ModelCard) -> Sequence[Sequence[Any]]:
    """A text of each length that the model can read, or a query with such a text, and an image if it reads images.

    And texts of mixed lengths, if what it computes depends on the length.
    """
    side = int(card.image_size or 0)
    images = [[np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)]] if "image" in card.reads else []
    if card.modality == "image":
        return images
    window = card.context_window or max(_LENGTHS)
    make = _pair if card.modality == "pair" else _repeated
    if card.filled_with is not None:
        return [[_sized(family, make, window)], *images]
    texts = {length: _sized(family, make, length) for length in {min(n, window) for n in (*_LENGTHS, *_MIXED)}}
    each = [[texts[length]] for length in sorted({min(n, window) for n in _LENGTHS})]
    return [*each, [texts[min(length, window)] for length in _MIXED], *images]


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
