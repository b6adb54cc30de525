"""Texts without rows: all tokens one behind the other, and where each text begins.

Nothing is filled up, whatever the lengths of the texts; onnxruntime's CUDA provider has an attention for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from deployments.contract import Running
from deployments.graphs.rows import SLOT_STEP
from deployments.networks.base import Numbers, Output
from deployments.networks.layouts import Layout
from deployments.networks.session import Outputs, Session

_SLOTS = 1.5
"""How many slots a run may have for each token of the budget: pooling and biases of scores cost memory for each slot,
and the head of a SPLADE computes for each."""

_ENOUGH = 0.9
"""The share of the budget that is looked for; more is not worth looking on."""

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


@dataclass(frozen=True)
class RaggedNetwork:
    """Gives what `read` makes of the graph's outputs."""

    session: Session
    layout: Ragged
    read: Read

    @property
    def running(self) -> Running:
        """How it runs."""
        return self.session.running

    def __call__(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None) -> Output:
        """As `Network`."""
        return self.read(self.session.run(ragged(texts, attended, firsts)), [len(text) for text in texts])


def ragged(
    texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None
) -> dict[str, npt.NDArray[np.int32]]:
    """What a ragged graph reads (`graphs/rows.py`)."""
    lengths = np.array([len(text) for text in texts], np.int32)
    starts = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    begins, places = starts[:-1, None], np.arange(_slots(int(lengths.max())), dtype=np.int32)
    is_text = places < lengths[:, None]
    numbers = is_text.reshape(-1)
    positions = np.broadcast_to(places, is_text.shape)[is_text]
    segments = positions >= np.repeat(lengths if firsts is None else firsts, lengths)
    return {
        "input_ids": np.fromiter(chain.from_iterable(texts), np.int32, int(starts[-1])),
        "positions": positions,
        "segments": segments.astype(np.int32),
        "starts": starts,
        "token_offset": np.concatenate([np.flatnonzero(numbers), np.flatnonzero(~numbers)])
        .astype(np.int32)
        .reshape(is_text.shape),
        "slots": np.where(is_text, begins + places, begins),
        "attended": attended,
    }


def _slots(tokens: int) -> int:
    """How many slots a text gets beside none that is longer."""
    return -(-tokens // SLOT_STEP) * SLOT_STEP
