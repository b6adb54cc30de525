"""Runs of one ragged text as CUDA graphs: captured once for each of a few shapes, and launched as one thing after.

A card computes a query sooner than a processor launches the hundred kernels of it, one by one. A graph's shapes are
fixed; so a second text fills it up, for which nobody asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from deployments.graphs.rows import SLOT_STEP
from deployments.networks.base import Numbers
from deployments.networks.ragged import Inputs, ragged
from deployments.networks.session import Outputs, ReplayedSession

_TOKENS = (24, 40, 72, 136, 264, 520)
"""Of a run, the second text's included: a power of two and `SLOT_STEP`, which is what they are multiples of."""

RowOf = Literal["text", "token"]
"""What the rows of a graph's output stand for."""


class Replays:
    """The graphs of a model, one for each of a few numbers of tokens."""

    def __init__(self, session: ReplayedSession, row_of: RowOf, window: int) -> None:
        """Capture all of them, for texts within a context window of so many tokens.

        Raises:
            ModelError: the model cannot be captured.
        """
        self._session, self._row_of = session, row_of
        self._sizes = sizes(window)
        for size in self._sizes:
            length = np.array([min(window, size - 1)], np.int32)
            session.capture(size, filled(size, [0] * int(length[0]), length, length))

    def run(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None) -> Outputs | None:
        """The outputs for texts as `Network` takes them; None if there are several, or it is too long.

        Raises:
            InternalError: the run failed.
        """
        tokens = len(texts[0])
        size = next((size for size in self._sizes if tokens < size), None)
        if size is None or len(texts) > 1:
            return None
        outputs = self._session.run(size, filled(size, texts[0], attended, firsts))
        return [output[: 1 if self._row_of == "text" else tokens] for output in outputs]


def sizes(window: int) -> Sequence[int]:
    """The numbers of tokens for which there are graphs, ascending; none is much larger than the context window."""
    return [tokens for tokens in _TOKENS if tokens <= window + SLOT_STEP]


def filled(size: int, text: Sequence[int], attended: Numbers, firsts: Numbers | None) -> Inputs:
    """What a ragged graph reads: the text, and another one that has all the tokens that are missing."""
    missing = np.array([size - len(text)], np.int32)
    attended = np.concatenate([attended, missing])
    firsts = None if firsts is None else np.concatenate([firsts, missing])
    return ragged([text, [0] * int(missing[0])], attended, firsts, slots=size)
