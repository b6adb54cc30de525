"""BM42: a document's words weigh what a network's first token attends to them, a query's words all the same.

As in fastembed. The attention is that of the last layer, the mean of its heads. A word's share of it is the sum of its
pieces' shares, a stem's the highest of its words'; its entry is log(1 + share) to the power of `alpha`. Of a query each
stem has the entry 1, and no network reads it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Floats, SparseVector, SparseVectors
from deployments.errors import ModelError
from deployments.families.chunks import pack
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import sample_texts
from deployments.families.words import Word, WordModel, number, stem, vector, words
from deployments.graphs import attention, heads
from deployments.networks.base import Network
from deployments.networks.opening import Graphs, is_ready, open_network
from deployments.networks.padded import run_ready
from deployments.networks.settings import SessionSettings

_ALPHA = 0.5
"""fastembed's."""

Shares = Callable[[Floats], Floats]
"""From what the network gives for a text, `[tokens, heads]`, to each token's share of each head's attention."""


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> Bm42Model:
    """Load a BM42 model: a ready file that gives its attentions, or a checkpoint."""
    graphs = Graphs(heads.positions, attention.of_first_tokens, None, heads.float16, run_ready=_run_ready)
    network = open_network(card, folder, settings, graphs)
    return Bm42Model(card, folder, network, _as_it_is if is_ready(folder) else _softmax)


class Bm42Model(WordModel):
    """Entries are stems."""

    def __init__(self, card: ModelCard, folder: Path, network: Network, shares: Shares) -> None:
        super().__init__(card, folder, network)
        self._special = frozenset(self.tokenizer.special_ids())
        self._skipped = self.stopwords | set(string.punctuation)
        self._shares = shares

    @override
    def samples(self) -> Sequence[Batch]:
        """Of documents, which are what costs."""
        return [Batch(batch.inputs, "update") for batch in sample_texts()]

    @override
    def meanings(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {number(stem(word.text)): word.text for word in reversed(self._words(ids))}

    @override
    def run(self, prepared: Prepared, positions: Positions) -> SparseVectors:
        texts = [self._words(prepared.items[position]) for position in positions]
        if prepared.batch.direction == "search":
            return pack([vector({number(stem(word.text)): 1.0 for word in text}) for text in texts])
        alpha = prepared.batch.options.get("alpha", _ALPHA)
        rows = self.rows(prepared, positions)
        shares = [self._shares(rows[text]).mean(axis=1) for text in range(len(texts))]
        return pack([_document(*each, alpha) for each in zip(texts, shares, strict=True)])

    def _words(self, ids: Sequence[int]) -> Sequence[Word]:
        pieces = self.tokenizer.tokens(ids)
        found = words((place, piece) for place, piece in enumerate(pieces) if ids[place] not in self._special)
        return [word for word in found if word.text not in self._skipped]


def _document(text: Sequence[Word], shares: Floats, alpha: float) -> SparseVector:
    highest: dict[str, float] = {}
    for word in text:
        share = float(shares[word.places].sum())
        highest[stem(word.text)] = max(share, highest.get(stem(word.text), 0.0))
    return vector({number(each): math.log1p(share) ** alpha for each, share in highest.items()})


def _run_ready(*given: Any, **named: Any) -> Floats:
    """Of a file's attentions, `[texts, heads, tokens, tokens]`, those of first tokens, `[texts, tokens, heads]`."""
    attentions: Floats = run_ready(*given, **named)
    if attentions.ndim != 4:  # noqa: PLR2004  its axes
        raise ModelError("the ONNX file gives no attentions; 'output' in the catalogue names the output that has them")
    return attentions[:, :, 0].transpose(0, 2, 1)


def _as_it_is(shares: Floats) -> Floats:
    return shares


def _softmax(scores: Floats) -> Floats:
    shares = np.exp(scores - scores.max(axis=0))
    normalized: Floats = shares / shares.sum(axis=0)
    return normalized
