"""Sparse text models: SPLADE."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deployments.catalogue import ModelCard
from deployments.checkpoint import Checkpoint
from deployments.contract import Floats, SparseVectors
from deployments.families.pooling import Lengths
from deployments.families.text import TextModel, check_window
from deployments.graphs import bert
from deployments.session import SessionSettings, open_session


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a SPLADE model."""
    checkpoint = Checkpoint(folder)
    check_window(card, checkpoint.setting("max_position_embeddings"))
    return TextModel(card, folder, open_session(bert.splade(checkpoint), settings), _weights_above_zero)


def _weights_above_zero(weights: Floats, _lengths: Lengths) -> SparseVectors:
    """From weights `[rows, vocabulary]`, of which few are not zero."""
    rows, indices = np.nonzero(weights)
    offsets = np.searchsorted(rows, np.arange(len(weights) + 1)).astype(np.int64)
    return SparseVectors(indices.astype(np.uint32), weights[rows, indices], offsets)
