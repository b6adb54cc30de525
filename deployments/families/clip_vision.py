"""The image side of CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from deployments.catalogue import ModelCard
from deployments.checkpoint import Checkpoint
from deployments.contract import Batch, DenseVectors
from deployments.errors import ModelFilesError
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.graphs import clip
from deployments.session import Session, SessionSettings, open_session


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> VisionModel:
    """Load a CLIP image model."""
    checkpoint = Checkpoint(folder)
    try:
        preprocessor = clip.Preprocessor.model_validate_json((folder / "preprocessor_config.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelFilesError(f"{folder}: {error}") from error
    session = open_session(clip.vision(checkpoint, preprocessor), settings)
    size, patch = (checkpoint.setting("vision_config", name) for name in ("image_size", "patch_size"))
    return VisionModel(session, size, patch, normalized=card.normalize)


class VisionModel:
    """Images of the model's own size, uint8 `[size, size, 3]`, in; one vector each out."""

    def __init__(self, session: Session, size: int, patch: int, *, normalized: bool) -> None:
        """`size` and `patch` are the sides of an image and of its square patches, in pixels."""
        self._session = session
        self._size = size
        self._tokens = (size // patch) ** 2 + 1
        self._normalized = normalized

    def samples(self) -> Sequence[Batch]:
        """One black image, and several."""
        black = np.zeros((self._size, self._size, 3), np.uint8)
        return [Batch([black] * rows, "search") for rows in (1, 8)]

    def prepare(self, batch: Batch) -> Prepared:
        """Count the patches and the class token; all work on pixels is part of the model."""
        return Prepared(batch, batch.inputs, np.full(len(batch), self._tokens, np.int64))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        """The vectors of some of the images."""
        pixels = np.stack([prepared.items[position] for position in positions])
        (rows,) = self._session.run({"pixels": pixels})
        return DenseVectors(normalize(rows) if self._normalized else rows)
