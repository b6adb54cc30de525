"""Dense text models: an encoder, a pooling, and what sentence-transformers puts behind it."""

from __future__ import annotations

from pathlib import Path

from deployments.architectures import projection
from deployments.catalogue.card import ModelCard
from deployments.contract import DenseVectors, MultiVectors
from deployments.families.pooling import POOLINGS, normalize
from deployments.families.text import Output, TextModel
from deployments.graphs import heads
from deployments.networks.opening import open_packed_network
from deployments.networks.settings import SessionSettings


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a dense text model."""
    pooled = POOLINGS[str(card.pooling)]
    projections = [projection.read(folder / name) for name in card.projections]

    def finish(output: Output) -> DenseVectors:
        rows = pooled(output) if isinstance(output, MultiVectors) else output  # a ready file may have pooled already
        for project in projections:
            rows = project(rows)
        return DenseVectors(normalize(rows) if card.normalize else rows)

    network = open_packed_network(card, folder, settings, heads.encoder, heads.positions)
    return TextModel(card, folder, network, finish)
