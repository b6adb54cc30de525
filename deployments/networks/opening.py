"""Which network a model gets: its own ready ONNX file, or a graph built from its checkpoint for the provider here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint, Config, has_tensors
from deployments.catalogue.card import ModelCard
from deployments.errors import ModelError
from deployments.graphs.cache import kept
from deployments.networks.base import Network
from deployments.networks.layouts import Padded
from deployments.networks.packed import PackedNetwork
from deployments.networks.packing import Packed
from deployments.networks.padded import READY_INPUTS, PaddedNetwork, run_built, run_ready
from deployments.networks.session import Build, Provider, Session, open_session, provider_of
from deployments.networks.settings import SessionSettings

READY = "model.onnx"

BuildGraph = Callable[..., bytes]
"""Makes a graph of a checkpoint and the type of its weights, and if it can be packed, of what a row holds."""

Positions = Callable[[Config], int]
"""How many tokens a checkpoint's model can read."""


def open_network(
    card: ModelCard, folder: Path, settings: SessionSettings, build: BuildGraph, positions: Positions
) -> Network:
    """The network of a text model, with rows of one text.

    Raises:
        ModelError: the model cannot be run here, or not with these settings, or reads less than its card says.
        ModelFilesError: a file is missing or damaged.
    """
    if is_ready(folder):
        return _ready(card, folder, settings)
    return _padded(card, _checkpoint(card, folder, positions), settings, build)


def open_packed_network(
    card: ModelCard, folder: Path, settings: SessionSettings, build: BuildGraph, positions: Positions
) -> Network:
    """As `open_network`, for models that give a row a token: texts share rows if that is faster.

    A ready file takes rows of one text.
    """
    if is_ready(folder):
        return _ready(card, folder, settings)
    return _BUILT[provider_of(settings)](card, _checkpoint(card, folder, positions), settings, build)


def is_ready(folder: Path) -> bool:
    """Whether a folder has an ONNX file in place of a checkpoint."""
    return (folder / READY).is_file() and not has_tensors(folder)


def open_ready(card: ModelCard, folder: Path, settings: SessionSettings) -> Session:
    """A folder's ONNX file.

    Raises:
        ModelError: it cannot be run here, or should run in float16, which only building from a checkpoint can give.
    """

    def file(weights: npt.DTypeLike) -> Path:
        if np.dtype(weights) != np.float32:
            raise ModelError(f"{folder}: {READY} runs in the precision it was stored in, not in {np.dtype(weights)}")
        return folder / READY

    return open_session(file, settings, (*card.spec.unsuitable_precisions, "float16"))


def open_built(card: ModelCard, build: Build, settings: SessionSettings) -> Session:
    """A graph built from a checkpoint.

    Raises:
        ModelError: it cannot be run here.
    """
    return open_session(build, settings, tuple(card.spec.unsuitable_precisions))


def _checkpoint(card: ModelCard, folder: Path, positions: Positions) -> Checkpoint:
    checkpoint = Checkpoint(folder, card.projections if card.vector_kind == "multivector" else ())
    if (card.context_window or 0) > positions(checkpoint):
        end = positions(checkpoint)
        raise ModelError(f"{card.name}: context_window is {card.context_window}, but the model ends at {end}")
    return checkpoint


def _ready(card: ModelCard, folder: Path, settings: SessionSettings) -> Network:
    session = open_ready(card, folder, settings)
    session.expect(READY_INPUTS, card.output)
    return PaddedNetwork(session, partial(run_ready, output=card.output), Padded(int(card.context_window or 0)))


def _padded(card: ModelCard, checkpoint: Checkpoint, settings: SessionSettings, build: BuildGraph) -> Network:
    session = open_built(card, partial(kept, build, checkpoint), settings)
    return PaddedNetwork(session, run_built, Padded(int(card.context_window or 0)))


def _packed(card: ModelCard, checkpoint: Checkpoint, settings: SessionSettings, build: BuildGraph) -> Network:
    def packed(weights: npt.DTypeLike) -> bytes | Path:
        return kept(build, checkpoint, weights, "packed")

    return PackedNetwork(open_built(card, packed, settings), Packed())


_BUILT: Mapping[Provider, Callable[[ModelCard, Checkpoint, SessionSettings, BuildGraph], Network]] = {
    "cpu": _packed,
    "openvino": _packed,
    "cuda": _padded,  # the fused attention of onnxruntime's CUDA provider takes rows of one text
}
"""By provider: how texts share the rows of a graph that was built for it, if the model gives a row a token."""
