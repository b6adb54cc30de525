"""Models that read texts and images, both by one name, with vectors in one space: SigLIP, and CLIP as one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from typing_extensions import override

from deployments.architectures.checkpoint import Config
from deployments.architectures.sides import SIGLIP
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Explanation, Floats, Vectors
from deployments.errors import ModelError
from deployments.families.clip_vision import CLIP
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import TextModel
from deployments.families.vision import Vision, VisionModel, load_vision
from deployments.graphs import clip, siglip
from deployments.networks.base import Output
from deployments.networks.opening import Graphs, is_ready, open_network
from deployments.networks.settings import SessionSettings

READY_TEXT, READY_VISION = "text_model.onnx", "vision_model.onnx"
"""The ready files of the two sides, as exporters call them."""


class _Sides(NamedTuple):
    text: Graphs
    vision: Vision


_ARCHITECTURES: Mapping[str, _Sides] = {
    "siglip": _Sides(Graphs(siglip.positions, siglip.text), Vision(siglip.vision, SIGLIP, beside_patches=0)),
    "clip": _Sides(Graphs(clip.positions, clip.text), CLIP),
}
"""By the model type that `config.json` names."""


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextImageModel:
    """Load both sides of a model."""
    config = Config(folder)
    if not is_ready(folder, READY_TEXT):
        config.expect_architecture(*_ARCHITECTURES)
    sides = _ARCHITECTURES.get(config.setting("model_type", default=""), _ARCHITECTURES["clip"])
    network = open_network(card, folder, settings, sides.text, READY_TEXT)
    kind: Callable[..., TextModel] = TextModel if card.filled_with is None else FilledTextModel
    text = kind(card, folder, network, _finish(normalized=card.normalize))
    return TextImageModel(text, load_vision(card, folder, settings, sides.vision, READY_VISION))


def _finish(*, normalized: bool) -> Callable[[Output], DenseVectors]:
    def finish(output: Output) -> DenseVectors:
        if not isinstance(output, np.ndarray):
            raise ModelError("the text side gives a row a token; name the output with one a text: output")
        rows: Floats = output
        return DenseVectors(normalize(rows) if normalized else rows)

    return finish


class FilledTextModel(TextModel):
    """Each text is filled up to the context window, and what fills it is read like all else."""

    @override
    def __init__(self, card: ModelCard, *args: object) -> None:
        super().__init__(card, *args)  # type: ignore[arg-type]
        self._window, self._filling = int(card.context_window or 0), int(card.filled_with or 0)

    @override
    def prepare(self, batch: Batch) -> Prepared:
        """Tokenize, and cut off; what will fill a text up is read, so it counts."""
        prepared = super().prepare(batch)
        return replace(prepared, tokens=np.full(len(prepared.items), self._window, np.int64))

    @override
    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        filled = [[*item, *[self._filling] * (self._window - len(item))] for item in prepared.items]
        return super().run(replace(prepared, items=filled), positions)


class TextImageModel:
    """A batch has inputs of one kind, which tells the side that embeds it."""

    def __init__(self, text: TextModel, vision: VisionModel) -> None:
        self._text = text
        self._vision = vision
        self.running = text.running

    def samples(self) -> Sequence[Batch]:
        """Those of both sides."""
        return [*self._text.samples(), *self._vision.samples()]

    def prepare(self, batch: Batch) -> Prepared:
        """As the side does."""
        return self._side(batch).prepare(batch)

    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        """The vectors of some of the inputs."""
        return self._side(prepared.batch).run(prepared, positions)

    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """The tokens of each text."""
        return self._text.explain(batch, indices)

    def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of token ids stand for."""
        return self._text.texts(ids)

    def _side(self, batch: Batch) -> TextModel | VisionModel:
        return self._vision if batch.reads == "image" else self._text
