"""Sparse text models: SPLADE (Formal et al. 2021), and those whose queries no network reads (Geng et al. 2024)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Floats, MultiVectors, SparseVector, SparseVectors
from deployments.errors import ModelFilesError
from deployments.families.chunks import pack
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import Finish, TextModel
from deployments.families.tokenizing import TextTokenizer
from deployments.graphs import heads, ragged
from deployments.networks.base import Network, Output
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.session import Outputs
from deployments.networks.settings import SessionSettings


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a SPLADE model."""
    graphs = Graphs(
        heads.positions,
        heads.splade,
        RaggedGraph(ragged.splade, (), _entries, None),
        heads.float16,
        piecewise=True,
    )
    network = open_network(card, folder, settings, graphs)
    finish = partial(_weights_above_zero, log_twice=card.log_twice)
    return (InferenceFreeModel if card.query_weights else TextModel)(card, folder, network, finish)


class InferenceFreeModel(TextModel):
    """Documents go through the network; a query has the weight of each of its tokens, from a table.

    Special tokens have no entries on either side.
    """

    def __init__(self, card: ModelCard, folder: Path, network: Network, finish: Finish) -> None:
        super().__init__(card, folder, network, finish)
        self._special = self.tokenizer.special_ids()
        self._query_weights = _table(folder / str(card.query_weights), self.tokenizer)

    @override
    def samples(self) -> Sequence[Batch]:
        """Of documents, which are what costs."""
        return [Batch(batch.inputs, "update") for batch in super().samples()]

    @override
    def run(self, prepared: Prepared, positions: Positions) -> SparseVectors:
        if prepared.batch.direction == "search":
            return pack([self._query(prepared.items[position]) for position in positions])
        vectors = cast("SparseVectors", super().run(prepared, positions))
        keeps = ~np.isin(vectors.indices, self._special)
        offsets = np.concatenate([[0], keeps.cumsum()])[vectors.offsets]
        return SparseVectors(vectors.indices[keeps], vectors.values[keeps], offsets)

    def _query(self, ids: Sequence[int]) -> SparseVector:
        """Each token once, however often it stands there."""
        tokens = np.setdiff1d(ids, self._special)
        values = self._query_weights[tokens]
        return SparseVector(tokens[values > 0].astype(np.uint32), values[values > 0])


def _table(path: Path, tokenizer: TextTokenizer) -> Floats:
    """The weights of all tokens by their ids, from a JSON object of tokens and weights."""
    weights = np.zeros(tokenizer.size, np.float32)
    try:
        for token, weight in json.loads(path.read_text("utf-8")).items():
            number = tokenizer.token_id(token)
            if number is not None:
                weights[number] = weight
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelFilesError(f"{path}: {error}") from error
    return weights


def _entries(outputs: Outputs, tokens: Sequence[int]) -> SparseVectors:
    """What a graph of ragged texts ends with: of each weight above zero, the text and the entry, and the weight."""
    (texts, entries), weights = outputs
    offsets = np.searchsorted(texts, np.arange(len(tokens) + 1)).astype(np.int64)
    return SparseVectors(entries.astype(np.uint32), weights, offsets)


def _weights_above_zero(output: Output, *, log_twice: bool) -> SparseVectors:
    """From weights `[texts, vocabulary]`, of which few are not zero, or logits of each text's tokens or pieces."""
    if isinstance(output, SparseVectors):
        vectors = output
    elif isinstance(output, MultiVectors):
        vectors = _logarithms(_above_zero(_highest(output)))
    else:
        vectors = _above_zero(cast("Floats", output))
    return _logarithms(vectors) if log_twice else vectors


def _logarithms(vectors: SparseVectors) -> SparseVectors:
    """The weights of logits; both are above zero for the same entries, so that it is done for few numbers."""
    return replace(vectors, values=np.log1p(vectors.values))


def _above_zero(rows: Floats) -> SparseVectors:
    places = np.flatnonzero(rows > 0)
    texts, entries = np.divmod(places, rows.shape[1])
    offsets = np.searchsorted(texts, np.arange(len(rows) + 1)).astype(np.int64)
    return SparseVectors(entries.astype(np.uint32), rows.reshape(-1)[places], offsets)


def _highest(logits: MultiVectors) -> Floats:
    """The maximum over the rows of each text; numpy's `reduceat` takes seven times as long along this axis."""
    return np.stack([logits[text].max(axis=0) for text in range(len(logits))])
