"""The text side of CLIP."""

from __future__ import annotations

from pathlib import Path

from deployments.catalogue import ModelCard
from deployments.checkpoint import Checkpoint
from deployments.contract import DenseVectors, Floats
from deployments.families.pooling import Lengths, normalize
from deployments.families.text import TextModel, check_window
from deployments.graphs import clip
from deployments.session import SessionSettings, open_session


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a CLIP text model."""
    checkpoint = Checkpoint(folder)
    check_window(card, checkpoint.setting("text_config", "max_position_embeddings"))

    def finish(rows: Floats, _lengths: Lengths) -> DenseVectors:
        return DenseVectors(normalize(rows) if card.normalize else rows)

    return TextModel(card, folder, open_session(clip.text(checkpoint), settings), finish)
