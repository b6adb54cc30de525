"""Sparse text models: SPLADE."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deployments.catalogue import ModelCard
from deployments.contract import Floats, SparseVectors
from deployments.families.networks import open_network
from deployments.families.pooling import Lengths
from deployments.families.text import TextModel
from deployments.graphs import bert
from deployments.session import SessionSettings

_LOGITS = 3
"""The axes of the output of a ready file, which ends with the logits of each token."""


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a SPLADE model."""
    network = open_network(card, folder, settings, bert.splade, bert.positions)
    return TextModel(card, folder, network, _weights_above_zero)


def _weights_above_zero(output: Floats, lengths: Lengths) -> SparseVectors:
    """From weights `[rows, vocabulary]`, of which few are not zero, or logits `[rows, tokens, vocabulary]`."""
    weights = _weights(output, lengths) if output.ndim == _LOGITS else output
    rows, indices = np.nonzero(weights)
    offsets = np.searchsorted(rows, np.arange(len(weights) + 1)).astype(np.int64)
    return SparseVectors(indices.astype(np.uint32), weights[rows, indices], offsets)


def _weights(logits: Floats, lengths: Lengths) -> Floats:
    """The maximum over each text's tokens of log(1 + relu(logit)); row by row, for the logits are large."""
    highest = np.stack([row[:length].max(axis=0) for row, length in zip(logits, lengths, strict=True)])
    weights: Floats = np.log1p(np.maximum(highest, 0))
    return weights
