"""What a network is to the families: a function of token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Union

import numpy as np
import numpy.typing as npt

from deployments.contract import Floats, Running, Vectors
from deployments.networks.layouts import Layout

Numbers = npt.NDArray[np.int32]

Output = Union[Vectors, Floats]
"""What a network gives: a row a token or a piece of a text (`MultiVectors`), a row a text, or what the model is asked
for, if its graph ends with that."""


class Network(Protocol):
    """A model as a function of token ids."""

    @property
    def layout(self) -> Layout:
        """Which texts go well together in a run."""
        ...

    @property
    def running(self) -> Running:
        """How it runs."""
        ...

    def __call__(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None) -> Output:
        """The output for texts of which the first `attended` tokens are attended to, in their order.

        Of pairs, `firsts` is how many tokens come before the second part.
        """
        ...


def offsets(tokens: Sequence[int]) -> npt.NDArray[np.int64]:
    """Where each text begins in rows laid end to end, and where the last one ends: int64 `[texts + 1]`."""
    return np.cumsum([0, *tokens], dtype=np.int64)
