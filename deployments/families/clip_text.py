"""The text side of CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from deployments.catalogue.card import ModelCard
from deployments.contract import DenseVectors, Floats
from deployments.families.pooling import normalize
from deployments.families.text import TextModel
from deployments.graphs import clip
from deployments.networks.base import Output
from deployments.networks.opening import Graphs, open_network
from deployments.networks.settings import SessionSettings


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a CLIP text model."""

    def finish(output: Output) -> DenseVectors:
        rows = cast("Floats", output)
        return DenseVectors(normalize(rows) if card.normalize else rows)

    return TextModel(card, folder, open_network(card, folder, settings, Graphs(clip.positions, clip.text)), finish)
