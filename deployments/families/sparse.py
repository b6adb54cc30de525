"""Sparse text models: SPLADE."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deployments.catalogue.card import ModelCard
from deployments.contract import Floats, MultiVectors, SparseVectors
from deployments.families.text import Output, TextModel
from deployments.graphs import heads
from deployments.networks.opening import open_network
from deployments.networks.settings import SessionSettings


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a SPLADE model."""
    network = open_network(card, folder, settings, heads.splade, heads.positions)
    return TextModel(card, folder, network, _weights_above_zero)


def _weights_above_zero(output: Output) -> SparseVectors:
    """From weights `[texts, vocabulary]`, of which few are not zero, or of a ready file, the logits of each token."""
    weights = _weights(output) if isinstance(output, MultiVectors) else output
    rows, indices = np.nonzero(weights)
    offsets = np.searchsorted(rows, np.arange(len(weights) + 1)).astype(np.int64)
    return SparseVectors(indices.astype(np.uint32), weights[rows, indices], offsets)


def _weights(logits: MultiVectors) -> Floats:
    """The maximum over each text's tokens of log(1 + relu(logit))."""
    highest = np.maximum.reduceat(logits.rows, logits.offsets[:-1])
    weights: Floats = np.log1p(np.maximum(highest, 0))
    return weights
