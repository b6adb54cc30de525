"""Small runs of ragged texts as CUDA graphs: captured once for each of a few shapes, and launched as one thing after.

A card computes a query sooner than a processor launches the hundred kernels of it, one by one. A graph's shapes are
fixed; so a run is filled up with texts for which nobody asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deployments.graphs.rows import SLOT_STEP
from deployments.networks.base import Numbers
from deployments.networks.ragged import Inputs, ragged
from deployments.networks.session import Outputs, ReplayedSession

_TOKENS = (24, 40, 72, 136, 264, 520)
"""A power of two, and room for those texts; multiples of `SLOT_STEP`."""

_TEXTS = (1, 4)

RowOf = Literal["text", "token"]
"""What the rows of a graph's output stand for."""


@dataclass(frozen=True)
class Shape:
    """Of a run: how many tokens it has, and how many texts at most that somebody asked for, beside one or more."""

    tokens: int
    texts: int

    def fits(self, texts: int, tokens: int) -> bool:
        """Whether so many texts of so many tokens in all leave a token or more for each of the others."""
        return texts <= self.texts and tokens + self.others(texts) <= self.tokens

    def others(self, texts: int) -> int:
        """How many texts there are beside so many."""
        return self.texts + 1 - texts


class Replays:
    """The graphs of a model, one a shape."""

    def __init__(self, session: ReplayedSession, row_of: RowOf, window: int) -> None:
        """Capture all of them, for texts within a context window of so many tokens.

        Raises:
            ModelError: the model cannot be captured.
        """
        self._session, self._row_of = session, row_of
        self._shapes = list(shapes(window))
        for shape in self._shapes:
            length = np.array([min(window, shape.tokens - shape.others(1))], np.int32)
            session.capture(shape, filled(shape, [[0] * int(length[0])], length, length))

    def run(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None) -> Outputs | None:
        """The outputs for texts as `Network` takes them; None if they are too many or too long.

        Raises:
            InternalError: the run failed.
        """
        tokens = sum(len(text) for text in texts)
        shape = next((each for each in self._shapes if each.fits(len(texts), tokens)), None)
        if shape is None:
            return None
        inputs = filled(shape, texts, attended, firsts)
        outputs = self._session.run(shape, inputs)
        rows = len(texts) if self._row_of == "text" else tokens
        return [output[:rows] for output in outputs]


def shapes(window: int) -> Iterator[Shape]:
    """Those for which there are graphs, the cheapest first; texts of so many tokens and more have none."""
    for tokens in _TOKENS:
        if tokens <= window + SLOT_STEP:
            yield from (Shape(tokens, texts) for texts in _TEXTS)


def filled(shape: Shape, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None) -> Inputs:
    """What a ragged graph reads: the texts, and others of a token each but for the last, which has what is left."""
    missing, others = shape.tokens - sum(len(text) for text in texts), shape.others(len(texts))
    lengths = np.array([*[1] * (others - 1), missing - (others - 1)], np.int32)
    whole = [*texts, *([0] * length for length in lengths.tolist())]
    attended = np.concatenate([attended, lengths])
    firsts = None if firsts is None else np.concatenate([firsts, lengths])
    return ragged(whole, attended, firsts, slots=shape.tokens)
