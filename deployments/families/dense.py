"""Dense text models: a BERT and a pooling."""

from __future__ import annotations

from pathlib import Path

from deployments.catalogue import ModelCard
from deployments.contract import DenseVectors, Floats
from deployments.families.networks import open_network
from deployments.families.pooling import POOLINGS, Lengths, normalize
from deployments.families.text import TextModel
from deployments.graphs import bert
from deployments.session import SessionSettings

_TOKENS = 3
"""The axes of an output with a vector a token; a ready file may have pooled already."""


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a dense text model."""
    pool = POOLINGS[str(card.pooling)]

    def finish(output: Floats, lengths: Lengths) -> DenseVectors:
        rows = pool(output, lengths) if output.ndim == _TOKENS else output
        return DenseVectors(normalize(rows) if card.normalize else rows)

    network = open_network(card, folder, settings, bert.encoder, bert.positions)
    return TextModel(card, folder, network, finish)
