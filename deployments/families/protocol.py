"""What every family of models does: prepare a batch, run parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from deployments.contract import Batch, Explanation, Running, Vectors
from deployments.networks.layouts import Layout

Positions = npt.NDArray[np.int64]
"""Where some inputs stand in their batch."""


@dataclass(frozen=True)
class Prepared:
    """A batch that is ready to be run: `items[i]` is what the family made of input i.

    `tokens` int64 `[n]` is what the model will read; `truncated` counts the inputs that were longer than that. `layout`
    says which inputs go well together in a run.
    """

    batch: Batch
    items: Sequence[Any]
    tokens: npt.NDArray[np.int64]
    truncated: int = 0
    layout: Layout = field(default_factory=Layout)


class Family(Protocol):
    """A loaded model. Its methods may be called from any thread, also at the same time."""

    @property
    def running(self) -> Running:
        """How it runs; BM25 has neither provider nor precision."""
        ...

    def samples(self) -> Sequence[Batch]:
        """A few batches like those to come, the smallest first, to run before the first request."""
        ...

    def prepare(self, batch: Batch) -> Prepared:
        """Everything that can be done before the model runs, such as tokenizing."""
        ...

    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        """The vectors of the inputs at these positions, in the order of the positions."""
        ...


@runtime_checkable
class ReadsText(Protocol):
    """A loaded model that can say how it reads texts."""

    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """How it reads each text, and what these indices of the text's sparse vector stand for."""
        ...


@runtime_checkable
class HasVocabulary(Protocol):
    """A loaded model whose tokens have numbers."""

    def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of token ids stand for.

        Raises:
            WrongInput: there is no such token.
        """
        ...
