"""Models that read text: tokens in, one vector a text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Direction, Explanation, Vectors
from deployments.families.protocol import Positions, Prepared
from deployments.families.tokenizing import TextTokenizer
from deployments.networks.base import Network, Output

Finish = Callable[[Output], Vectors]
"""Makes vectors of what a network gives."""

_ALIKE: Mapping[Direction, Network] = MappingProxyType({})

_SHAPES = ((1, 7), (1, 40), (16, 7), (8, 40), (2, 250))
"""One short text, one of a few lines, several of each, and two long ones: texts, and words of each."""


class TextModel:
    """A tokenizer, a network, and what is done with its output."""

    def __init__(
        self,
        card: ModelCard,
        folder: Path,
        network: Network,
        finish: Finish,
        by_direction: Mapping[Direction, Network] = _ALIKE,
    ) -> None:
        """`by_direction`: what takes the place of the network for texts that search and for those that are stored."""
        window = int(card.context_window or 0)
        self.tokenizer = TextTokenizer(folder / "tokenizer.json", window, lowercase=card.lowercase)
        self._network = network
        self._by_direction = by_direction
        self.running = network.running
        self._finish = finish

    def samples(self) -> Sequence[Batch]:
        """Texts of different lengths, alone and together."""
        return sample_texts()

    def prepare(self, batch: Batch) -> Prepared:
        """Tokenize. The part of a text beyond the context window is cut off; the special tokens stay."""
        items, truncated = self.tokenizer.encode([str(text) for text in batch.inputs])
        tokens = np.array([len(item) for item in items], np.int64)
        return Prepared(batch, items, tokens, truncated, self._network.layout)

    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """The tokens of each text, and the words with these ids."""
        return self.tokenizer.explain([str(text) for text in batch.inputs], indices)

    def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of token ids stand for."""
        return self.tokenizer.texts(ids)

    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        """The vectors of some of the texts."""
        items = [prepared.items[position] for position in positions]
        lengths = np.array([len(item) for item in items], np.int32)
        network = self._by_direction.get(prepared.batch.direction, self._network)
        return self._finish(network(items, lengths))


def sample_texts() -> Sequence[Batch]:
    """A few batches like those to come, the smallest first."""
    return [Batch(["word " * words] * rows, "search") for rows, words in _SHAPES]
