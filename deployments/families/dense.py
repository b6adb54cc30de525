"""Dense text models: a BERT and a pooling."""

from __future__ import annotations

from pathlib import Path

from deployments.catalogue import ModelCard
from deployments.checkpoint import Checkpoint
from deployments.contract import DenseVectors, Floats
from deployments.families.pooling import POOLINGS, Lengths, normalize
from deployments.families.text import TextModel, check_window
from deployments.graphs import bert
from deployments.session import SessionSettings, open_session


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a dense text model."""
    checkpoint = Checkpoint(folder)
    check_window(card, checkpoint.setting("max_position_embeddings"))
    pool = POOLINGS[str(card.pooling)]

    def finish(hidden: Floats, lengths: Lengths) -> DenseVectors:
        rows = pool(hidden, lengths)
        return DenseVectors(normalize(rows) if card.normalize else rows)

    return TextModel(card, folder, open_session(bert.encoder(checkpoint), settings), finish)
