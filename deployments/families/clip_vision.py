"""The image side of CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Floats, Pixels
from deployments.errors import ModelFilesError
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.graphs import clip
from deployments.graphs.cache import kept
from deployments.networks.opening import is_ready, open_built, open_ready
from deployments.networks.session import Session
from deployments.networks.settings import SessionSettings


@dataclass(frozen=True)
class VisionNetwork:
    """From pixels uint8 `[rows, size, size, 3]` to vectors `[rows, dimensions]`, not normalized yet."""

    session: Session
    run: Callable[[Session, Pixels], Floats]


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> VisionModel:
    """Load a CLIP image model."""
    try:
        preprocessor = clip.Preprocessor.model_validate_json((folder / "preprocessor_config.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelFilesError(f"{folder}: {error}") from error
    network = _open_network(card, folder, settings, preprocessor)
    return VisionModel(network, int(card.image_size or 0), _patch(folder), normalized=card.normalize)


class VisionModel:
    """Images of the model's own size, uint8 `[size, size, 3]`, in; one vector each out."""

    def __init__(self, network: VisionNetwork, size: int, patch: int, *, normalized: bool) -> None:
        """`size` and `patch` are the sides of an image and of its square patches, in pixels."""
        self._network = network
        self.running = network.session.running
        self._size = size
        self._tokens = (size // patch) ** 2 + 1
        self._normalized = normalized

    def samples(self) -> Sequence[Batch]:
        """One black image, and several."""
        black = np.zeros((self._size, self._size, 3), np.uint8)
        return [Batch([black] * rows, "search") for rows in (1, 8)]

    def prepare(self, batch: Batch) -> Prepared:
        """Count the patches and the class token; all work on pixels is part of the network."""
        return Prepared(batch, batch.inputs, np.full(len(batch), self._tokens, np.int64))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        """The vectors of some of the images."""
        pixels = np.stack([prepared.items[position] for position in positions])
        rows = self._network.run(self._network.session, pixels)
        return DenseVectors(normalize(rows) if self._normalized else rows)


def _open_network(
    card: ModelCard, folder: Path, settings: SessionSettings, preprocessor: clip.Preprocessor
) -> VisionNetwork:
    if is_ready(folder):
        run = partial(_run_ready, *preprocessor.scale_and_shift())
        return VisionNetwork(open_ready(card, folder, settings), run)
    checkpoint = Checkpoint(folder)
    checkpoint.expect("vision_config", "image_size", known=card.image_size)
    session = open_built(card, partial(kept, clip.vision, checkpoint, preprocessor), settings)
    return VisionNetwork(session, _run_built)


def _patch(folder: Path) -> int:
    """The side of a patch; configurations of the image side alone are not nested."""
    config = Config(folder)
    size: int = config.setting("patch_size", default=0) or config.setting("vision_config", "patch_size")
    return size


def _run_built(session: Session, pixels: Pixels) -> Floats:
    (rows,) = session.run({"pixels": pixels})
    return rows


def _run_ready(scale: Floats, shift: Floats, session: Session, pixels: Pixels) -> Floats:
    """The file takes normalized pixels, float32 `[rows, 3, size, size]`; the first output counts, as in fastembed."""
    normalized = pixels * scale + shift
    rows, *_ = session.run({"pixel_values": np.ascontiguousarray(normalized.transpose(0, 3, 1, 2))})
    return rows.astype(np.float32, copy=False)
