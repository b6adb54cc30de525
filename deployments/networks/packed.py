"""Networks that take several texts in a row, none of which attends to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployments.contract import MultiVectors, Running
from deployments.networks.base import Numbers, offsets
from deployments.networks.packing import Packed, PackedTokens, in_pieces, pack
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
        (output,) = self.session.run(_inputs(rows))
        return MultiVectors(output.reshape(-1, output.shape[-1])[rows.places], offsets([len(text) for text in texts]))


@dataclass(frozen=True)
class PiecewiseNetwork:
    """Gives a row a piece of a text: the maximum of what would be too much for each token."""

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
        pieces = in_pieces(rows, [len(text) for text in texts])
        (output,) = self.session.run({**_inputs(rows), "slots": pieces.slots})
        return MultiVectors(output[: pieces.offsets[-1]], pieces.offsets)


def _inputs(rows: PackedTokens) -> dict[str, Numbers]:
    """Of a packed graph, by name."""
    return {
        "input_ids": rows.ids,
        "positions": rows.positions,
        "texts": rows.texts,
        "attended": rows.attended,
        "segments": rows.segments,
    }
