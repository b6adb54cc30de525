"""Networks that take several texts in a row, none of which attends to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployments.contract import MultiVectors, Running
from deployments.networks.base import Numbers, offsets
from deployments.networks.packing import Packed, pack
from deployments.networks.session import Session


@dataclass(frozen=True)
class PackedNetwork:
    """Gives a row a token."""

    session: Session
    layout: Packed

    @property
    def running(self) -> Running:
        """How it runs."""
        return self.session.running

    def __call__(
        self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None
    ) -> MultiVectors:
        """As `Network`."""
        rows = pack(texts, attended.tolist(), None if firsts is None else firsts.tolist())
        inputs = {"input_ids": rows.ids, "positions": rows.positions, "texts": rows.texts, "attended": rows.attended}
        (output,) = self.session.run({**inputs, "segments": rows.segments})
        return MultiVectors(output.reshape(-1, output.shape[-1])[rows.places], offsets([len(text) for text in texts]))
