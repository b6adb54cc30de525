"""What the console asks the models' replicas, beside to embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployments.contract import Batch, Explanation, Running


class Replicas(Protocol):
    """Models are named as in the catalogue.

    Raises (every method):
        InferenceError: no replica answered, or the model cannot do this.
    """

    async def running(self, model: str) -> Running:
        """How a replica runs it."""

    async def explain(self, model: str, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """How it reads each text, and what these indices of the text's sparse vector stand for."""

    async def texts(self, model: str, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that rows of its token ids stand for."""
