"""Texts without rows: all tokens one behind the other, and where each text begins.

Nothing is filled up, whatever the lengths of the texts; onnxruntime's CUDA provider has an attention for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from deployments.contract import Running
from deployments.graphs.rows import SLOT_STEP
from deployments.networks.base import Numbers, Output
from deployments.networks.layouts import Layout
from deployments.networks.session import CARD, Outputs, Session

_SLOTS = 1.5
"""How many slots a run may have for each token of the budget: pooling and biases of scores cost memory for each slot,
and the head of a SPLADE computes for each."""

_ENOUGH = 0.9
"""The share of the budget that is looked for; more is not worth looking on."""

Inputs = dict[str, npt.NDArray[np.int32]]
"""Of a ragged graph, by name."""

Read = Callable[[Outputs, Sequence[int]], Output]
"""What to make of a graph's outputs, and of how many tokens each text has."""


@dataclass(frozen=True)
class Ragged(Layout):
    """Any texts go together, if they are not so different that most of their slots would be empty."""

    @override
    def choose(self, tokens: Sequence[int], wanted: int, budget: int) -> Sequence[int]:
        """Neighbours in length: the first that nearly fill the budget, or those with most tokens."""
        ends = [0, *accumulate(tokens)]
        best, most, start = range(wanted, wanted + 1), 0, 0
        for last in range(wanted, len(tokens)):
            slots = _slots(tokens[last])
            while ends[last + 1] - ends[start] > budget or (last + 1 - start) * slots > budget * _SLOTS:
                start += 1
            if start > wanted:
                break
            if ends[last + 1] - ends[start] > most:
                best, most = range(start, last + 1), ends[last + 1] - ends[start]
            if most >= budget * _ENOUGH:
                break
        return best


class Replaying(Protocol):
    """What runs a text alone (`replays.py`)."""

    def run(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None) -> Outputs | None:
        """The outputs, or None if it does not run these."""
        ...


@dataclass(frozen=True)
class RaggedNetwork:
    """Gives what `read` makes of the graph's outputs; `replays` runs a text alone, if there is one.

    It does so only while nothing else runs: then a query is sooner done. If more come than one by one, it is better
    that they gather, and that the processor is at the next run while the card computes one.
    """

    session: Session
    layout: Ragged
    read: Read
    replays: Replaying | None = None

    @property
    def running(self) -> Running:
        """How it runs."""
        return self.session.running

    def __call__(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None) -> Output:
        """As `Network`."""
        outputs = self.replays.run(texts, attended, firsts) if self.replays and CARD.is_free else None
        outputs = self.session.run(ragged(texts, attended, firsts)) if outputs is None else outputs
        return self.read(outputs, [len(text) for text in texts])


def ragged(
    texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None, *, slots: int | None = None
) -> Inputs:
    """What a ragged graph reads (`graphs/rows.py`), with so many `slots` a text; None: as few as can be."""
    lengths = np.array([len(text) for text in texts], np.int32)
    ends = lengths.cumsum(dtype=np.int32)
    begins, total, width = ends - lengths, int(ends[-1]), slots or _slots(int(lengths.max()))
    tokens = np.arange(total, dtype=np.int32)
    positions = tokens - np.repeat(begins, lengths)
    rows = width * np.arange(len(texts), dtype=np.int32)
    offset = np.repeat(rows - begins, lengths) + tokens
    stands = np.repeat(begins, width)
    stands[offset] = tokens
    inputs = {
        "input_ids": np.fromiter(chain.from_iterable(texts), np.int32, total),
        "positions": positions,
        "starts": np.concatenate([begins, ends[-1:]]),
        "token_offset": _with_empty(offset, len(texts) * width).reshape(-1, width),
        "slots": stands.reshape(-1, width),
        "attended": attended,
    }
    return (
        inputs if firsts is None else inputs | {"segments": (positions >= np.repeat(firsts, lengths)).astype(np.int32)}
    )


def _with_empty(offset: Numbers, slots: int) -> Numbers:
    """The slots with a token, and behind them those without."""
    if len(offset) == slots:
        return offset
    is_empty = np.ones(slots, np.bool_)
    is_empty[offset] = False
    return np.concatenate([offset, np.flatnonzero(is_empty).astype(np.int32)])


def _slots(tokens: int) -> int:
    """How many slots a text gets beside none that is longer."""
    return -(-tokens // SLOT_STEP) * SLOT_STEP
