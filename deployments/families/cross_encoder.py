"""Rerankers: a network reads a query and a document together, and tells how well one answers the other.

So do the cross-encoders of sentence-transformers (Nogueira, Cho 2019). A score is the number that the network gives:
the higher, the better, without bounds; its sigmoid lies between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Floats, MultiVectors, Pair
from deployments.errors import InternalError
from deployments.families.pooling import POOLINGS
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import sample_texts
from deployments.families.tokenizing import PairIds, TextTokenizer
from deployments.graphs import heads, ragged
from deployments.networks.base import Network, Output
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.settings import SessionSettings

_QUERY = "what is a word"


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> CrossEncoder:
    """Load a reranker."""
    graphs = Graphs(
        heads.positions,
        heads.scores,
        RaggedGraph(ragged.scores, (), lambda outputs, _: outputs[0], "text"),
        heads.float16,
    )
    return CrossEncoder(card, folder, open_network(card, folder, settings, graphs))


class CrossEncoder:
    """A tokenizer of pairs, and a network that gives each pair a score."""

    def __init__(self, card: ModelCard, folder: Path, network: Network) -> None:
        self._tokenizer = TextTokenizer(folder / "tokenizer.json", int(card.context_window or 0))
        self._network = network
        self.running = network.running

    def samples(self) -> Sequence[Batch]:
        """A query with documents of different lengths, alone and together."""
        return [Batch([Pair(_QUERY, str(text)) for text in batch.inputs], "search") for batch in sample_texts()]

    def prepare(self, batch: Batch) -> Prepared:
        """Tokenize. What does not fit into the context window is cut off the longer one of a pair."""
        items, truncated = self._tokenizer.encode_pairs(cast("Sequence[Pair]", batch.inputs))
        tokens = np.array([len(item.ids) for item in items], np.int64)
        return Prepared(batch, items, tokens, truncated, self._network.layout)

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        """The scores of some of the pairs, float32 `[pairs, 1]`."""
        items: list[PairIds] = [prepared.items[position] for position in positions]
        lengths = np.array([len(item.ids) for item in items], np.int32)
        firsts = np.array([item.first for item in items], np.int32)
        return DenseVectors(_scores(self._network([item.ids for item in items], lengths, firsts)))


def _scores(output: Output) -> np.ndarray:
    rows = (
        POOLINGS["cls"](output) if isinstance(output, MultiVectors) else cast("Floats", output).reshape(len(output), -1)
    )
    if rows.shape[1] != 1:
        raise InternalError(f"the model gives {rows.shape[1]} numbers for a pair; a reranker gives one")
    return rows
