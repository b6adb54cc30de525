"""Late interaction: one vector a token, as ColBERT makes them (Khattab, Zaharia 2020).

A marker after the first token says whether a text is a query or a document. Queries are filled up with mask tokens,
which are not attended to but have vectors of their own. Of documents, punctuation has none. So does fastembed.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from deployments.catalogue.card import Markers, ModelCard
from deployments.contract import Batch, Explanation, MultiVectors
from deployments.errors import ModelError
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import sample_texts
from deployments.families.tokenizing import TextTokenizer
from deployments.graphs import heads, ragged
from deployments.networks.base import Network, offsets
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.ragged import RaggedNetwork
from deployments.networks.session import Outputs
from deployments.networks.settings import SessionSettings

_MASKS = ("[MASK]", "<mask>")
_PADDINGS = ("[PAD]", "<pad>")


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> LateInteractionModel:
    """Load a late-interaction model."""
    graphs = Graphs(
        heads.positions, heads.colbert, RaggedGraph(ragged.colbert, (card.normalize,), _vectors, "token"), heads.float16
    )
    return LateInteractionModel(card, folder, open_network(card, folder, settings, graphs))


class _Text(NamedTuple):
    """The token ids of a text, of which the first `attended` are attended to."""

    ids: Sequence[int]
    attended: int


class LateInteractionModel:
    """A tokenizer, a network, and the rules of which tokens have vectors."""

    def __init__(self, card: ModelCard, folder: Path, network: Network) -> None:
        self._markers = cast("Markers", card.markers)
        self._normalizes = card.normalize and not isinstance(network, RaggedNetwork)  # whose graph has done it
        window = int(card.context_window or 0) - 1  # the marker takes one
        self._tokenizer = TextTokenizer(folder / "tokenizer.json", window)
        self._mask = _mask(self._tokenizer, folder)
        self._skipped = _skipped(self._tokenizer, self._markers)
        self._network = network
        self.running = network.running

    def samples(self) -> Sequence[Batch]:
        """Texts of different lengths, alone and together."""
        return sample_texts()

    def prepare(self, batch: Batch) -> Prepared:
        """Tokenize, mark, and fill up queries; documents beyond the context window are cut off."""
        rows, truncated = self._tokenizer.encode([str(text) for text in batch.inputs])
        make = self._query if batch.direction == "search" else self._document
        items = [make(row) for row in rows]
        tokens = np.array([len(item.ids) for item in items], np.int64)
        return Prepared(batch, items, tokens, truncated, self._network.layout)

    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """The tokens of each text, without markers and masks."""
        return self._tokenizer.explain([str(text) for text in batch.inputs], indices)

    def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of token ids stand for."""
        return self._tokenizer.texts(ids)

    def run(self, prepared: Prepared, positions: Positions) -> MultiVectors:
        """The vectors of some of the texts."""
        texts: list[_Text] = [prepared.items[position] for position in positions]
        attended = np.array([text.attended for text in texts], np.int32)
        output = cast("MultiVectors", self._network([text.ids for text in texts], attended))
        rows, bounds = output.rows, output.offsets
        if prepared.batch.direction == "update":
            counts = ~np.isin(np.concatenate([text.ids for text in texts]), self._skipped)
            rows, bounds = rows[counts], np.concatenate([[0], counts.cumsum()])[bounds]
        return MultiVectors(normalize(rows) if self._normalizes else rows, bounds)

    def _query(self, row: list[int]) -> _Text:
        ids = [row[0], self._markers.query, *row[1:]]
        return _Text(ids + [self._mask] * (self._markers.query_length - len(ids)), len(ids))

    def _document(self, row: list[int]) -> _Text:
        ids = [row[0], self._markers.document, *row[1:]]
        return _Text(ids, len(ids))


def _vectors(outputs: Outputs, tokens: Sequence[int]) -> MultiVectors:
    return MultiVectors(outputs[0], offsets(tokens))


def _mask(tokenizer: TextTokenizer, folder: Path) -> int:
    for name in _MASKS:
        if (number := tokenizer.token_id(name)) is not None:
            return number
    raise ModelError(f"{folder}: the tokenizer has no mask token ({', '.join(_MASKS)})")


def _skipped(tokenizer: TextTokenizer, markers: Markers) -> list[int]:
    """The ids of a document's tokens that have no vector: padding that stands in the text, and punctuation."""
    paddings = [number for name in _PADDINGS if (number := tokenizer.token_id(name)) is not None]
    return paddings + [tokenizer.first_id(symbol) for symbol in string.punctuation if markers.skip_punctuation]
