"""Models that read images: pixels in, one vector an image out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from deployments.architectures import sides
from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Floats, Pixels
from deployments.errors import ModelError, ModelFilesError
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.graphs import towers
from deployments.graphs.cache import kept
from deployments.networks.opening import is_ready, open_built, open_ready
from deployments.networks.session import Session
from deployments.networks.settings import SessionSettings


@dataclass(frozen=True)
class Vision:
    """An architecture: what makes its graph, what its config.json may leave out, and its tokens beside the patches."""

    build: Callable[..., bytes]
    defaults: sides.Defaults
    beside_patches: int


@dataclass(frozen=True)
class VisionNetwork:
    """From pixels uint8 `[rows, size, size, 3]` to vectors `[rows, dimensions]`, not normalized yet."""

    session: Session
    run: Callable[[Session, Pixels], Floats]


def load_vision(card: ModelCard, folder: Path, settings: SessionSettings, kind: Vision, ready: str) -> VisionModel:
    """Load an image model, or the image side of a model; its ready file would be called `ready`."""
    try:
        preprocessor = towers.Preprocessor.model_validate_json((folder / "preprocessor_config.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelFilesError(f"{folder}: {error}") from error
    if is_ready(folder, ready):
        run = partial(_run_ready, *preprocessor.scale_and_shift(), card.output)
        network = VisionNetwork(open_ready(card, folder, settings, ready), run)
    else:
        network = VisionNetwork(_built(card, folder, settings, kind, preprocessor), _run_built)
    size = int(card.image_size or 0)
    tokens = (size // _patch(folder, kind)) ** 2 + kind.beside_patches
    return VisionModel(network, size, tokens, normalized=card.normalize)


class VisionModel:
    """Images of the model's own size, uint8 `[size, size, 3]`, in; one vector each out."""

    def __init__(self, network: VisionNetwork, size: int, tokens: int, *, normalized: bool) -> None:
        """`size` is the side of an image, in pixels; `tokens` are what is read of one."""
        self._network = network
        self.running = network.session.running
        self._size = size
        self._tokens = tokens
        self._normalized = normalized

    def samples(self) -> Sequence[Batch]:
        """One black image, and several."""
        black = np.zeros((self._size, self._size, 3), np.uint8)
        return [Batch([black] * rows, "search") for rows in (1, 8)]

    def prepare(self, batch: Batch) -> Prepared:
        """Count the tokens; all work on pixels is part of the network."""
        return Prepared(batch, batch.inputs, np.full(len(batch), self._tokens, np.int64))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        """The vectors of some of the images."""
        pixels = np.stack([prepared.items[position] for position in positions])
        rows = self._network.run(self._network.session, pixels)
        return DenseVectors(normalize(rows) if self._normalized else rows)


def _built(
    card: ModelCard, folder: Path, settings: SessionSettings, kind: Vision, preprocessor: towers.Preprocessor
) -> Session:
    checkpoint = Checkpoint(folder)
    size = sides.setting(checkpoint, "vision", "image_size", kind.defaults)
    if size != card.image_size:
        raise ModelError(f"{card.name}: image_size is {card.image_size}, but the model sees {size}")
    return open_built(card, partial(kept, kind.build, checkpoint, preprocessor), settings)


def _patch(folder: Path, kind: Vision) -> int:
    """The side of a patch; configurations of the image side alone are not nested."""
    config = Config(folder)
    size: int = config.setting("patch_size", default=0) or sides.setting(config, "vision", "patch_size", kind.defaults)
    return size


def _run_built(session: Session, pixels: Pixels) -> Floats:
    (rows,) = session.run({"pixels": pixels})
    return rows


def _run_ready(scale: Floats, shift: Floats, output: str | None, session: Session, pixels: Pixels) -> Floats:
    """The file takes normalized pixels, float32 `[rows, 3, size, size]`.

    Its first output counts, as in fastembed, unless another one is named.
    """
    normalized = pixels * scale + shift
    rows, *_ = session.run({"pixel_values": np.ascontiguousarray(normalized.transpose(0, 3, 1, 2))}, output)
    return rows.astype(np.float32, copy=False)
