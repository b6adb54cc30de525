"""Which network a model gets: its own ready ONNX file, or a graph built from its checkpoint for the provider here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint, Config, has_tensors
from deployments.catalogue.card import ModelCard
from deployments.catalogue.families import Precision
from deployments.contract import Floats
from deployments.errors import ModelError
from deployments.graphs.cache import kept
from deployments.graphs.rows import Rows
from deployments.networks.base import Network
from deployments.networks.layouts import Padded
from deployments.networks.packed import PackedNetwork, PiecewiseNetwork
from deployments.networks.packing import Packed
from deployments.networks.padded import READY_INPUTS, TASK_INPUT, PaddedNetwork, run_built, run_ready
from deployments.networks.ragged import Ragged, RaggedNetwork, Read
from deployments.networks.replays import Replays, RowOf
from deployments.networks.session import Build, Provider, Session, open_replayed, open_session, provider_of
from deployments.networks.settings import SessionSettings

READY = "model.onnx"

log = logging.getLogger("ray.serve")

BuildGraph = Callable[..., bytes]
"""Makes a graph of a checkpoint, the type of its weights, and what else it is told."""


@dataclass(frozen=True)
class RaggedGraph:
    """The graph of ragged texts: what its builder is told beside the weights' type, and how its outputs are read.

    `row_of` is what a row of its output stands for; None, if how many there are is known only after a run.
    """

    build: BuildGraph
    arguments: Sequence[Any]
    read: Read
    row_of: RowOf | None


@dataclass(frozen=True)
class Graphs:
    """The graphs of a family.

    Attributes:
        positions: how many tokens a checkpoint's model can read.
        float16: whether it can compute in float16.
        build: makes the graph of padded rows, and if it is told so, of packed ones.
        ragged: if there is one.
        piecewise: the one of packed rows gives a row a piece of a text, not a row a token.
        run_ready: how a ready file is run, and what is taken of its output.
    """

    positions: Callable[[Config], int]
    build: BuildGraph
    ragged: RaggedGraph | None = None
    float16: Callable[[Config], bool] = lambda _: True
    piecewise: bool = False
    run_ready: Callable[..., Floats] = run_ready


def open_network(
    card: ModelCard, folder: Path, settings: SessionSettings, graphs: Graphs, ready: str = READY
) -> Network:
    """The network of a text model. A ready file, called `ready`, takes rows of one text.

    Raises:
        ModelError: the model cannot be run here, or not with these settings, or reads less than its card says.
        ModelFilesError: a file is missing or damaged.
    """
    if is_ready(folder, ready):
        return _ready(card, folder, settings, ready, graphs.run_ready)
    if card.task_ids:
        raise ModelError(f"{card.name}: task_ids are for a ready ONNX file, and this is a checkpoint")
    checkpoint = Checkpoint(folder, card.projections if card.vector_kind == "multivector" else ())
    if (card.context_window or 0) > graphs.positions(checkpoint):
        end = graphs.positions(checkpoint)
        raise ModelError(f"{card.name}: context_window is {card.context_window}, but the model ends at {end}")
    rows = rows_of(card.family, settings)
    unsuitable = tuple(card.spec.unsuitable_precisions) + (() if graphs.float16(checkpoint) else ("float16",))

    def graph(build: BuildGraph, *arguments: Any) -> Build:
        return lambda weights: kept(build, checkpoint, weights, *arguments)

    if rows == "ragged" and (ragged := graphs.ragged):
        build = graph(ragged.build, *ragged.arguments)
        session = open_session(build, settings, unsuitable)
        return RaggedNetwork(session, Ragged(), ragged.read, _replays(card, build, settings, ragged.row_of, unsuitable))
    if rows == "packed":
        network = PiecewiseNetwork if graphs.piecewise else PackedNetwork
        return network(open_session(graph(graphs.build, rows), settings, unsuitable), Packed())
    session = open_session(graph(graphs.build), settings, unsuitable)
    return PaddedNetwork(session, run_built, Padded(int(card.context_window or 0)))


def _replays(
    card: ModelCard, build: Build, settings: SessionSettings, row_of: RowOf | None, unsuitable: Collection[Precision]
) -> Replays | None:
    """What runs a text alone; without it, it runs as others do, only slower."""
    if row_of is None or not settings.cuda_graphs:
        return None
    try:
        session = open_replayed(build, settings, unsuitable)
        return Replays(session, row_of, int(card.context_window or 0))
    except ModelError as error:
        log.warning("%s: a text alone is not replayed: %s", card.name, error)
        return None


def rows_of(family: str, settings: SessionSettings) -> Rows:
    """How texts share rows: as the settings say, or as suits the provider and the family.

    Raises:
        ModelError: the family cannot be run so, or the installed onnxruntime does not have the provider.
    """
    by_provider = _ROWS[family]
    if settings.rows == "auto":
        return by_provider[provider_of(settings)]
    possible = {"padded", *by_provider.values()}
    if settings.rows not in possible:
        raise ModelError(f"rows '{settings.rows}': {family} has only {', '.join(sorted(possible))}")
    return settings.rows


def is_ready(folder: Path, name: str = READY) -> bool:
    """Whether a folder has an ONNX file in place of a checkpoint."""
    return (folder / name).is_file() and not has_tensors(folder)


def open_ready(card: ModelCard, folder: Path, settings: SessionSettings, name: str = READY) -> Session:
    """A folder's ONNX file.

    Raises:
        ModelError: it cannot be run here, or should run in float16, which only building from a checkpoint can give.
    """

    def file(weights: npt.DTypeLike) -> Path:
        if np.dtype(weights) != np.float32:
            raise ModelError(f"{folder}: {name} runs in the precision it was stored in, not in {np.dtype(weights)}")
        return folder / name

    return open_session(file, settings, (*card.spec.unsuitable_precisions, "float16"))


def open_built(card: ModelCard, build: Build, settings: SessionSettings) -> Session:
    """A graph built from a checkpoint.

    Raises:
        ModelError: it cannot be run here.
    """
    return open_session(build, settings, tuple(card.spec.unsuitable_precisions))


def _ready(card: ModelCard, folder: Path, settings: SessionSettings, name: str, run: Callable[..., Floats]) -> Network:
    session = open_ready(card, folder, settings, name)
    session.expect((*READY_INPUTS, TASK_INPUT) if card.task_ids else READY_INPUTS, card.output)
    return PaddedNetwork(session, partial(run, output=card.output), Padded(int(card.context_window or 0)))


_ROWS: Mapping[str, Mapping[Provider, Rows]] = {
    "dense": {"cpu": "packed", "openvino": "packed", "cuda": "ragged"},
    "late-interaction": {"cpu": "packed", "openvino": "packed", "cuda": "ragged"},
    "cross-encoder": {"cpu": "packed", "openvino": "packed", "cuda": "ragged"},
    "sparse": {"cpu": "packed", "openvino": "packed", "cuda": "ragged"},
    "bm42": {"cpu": "packed", "openvino": "packed", "cuda": "padded"},
    "minicoil": {"cpu": "packed", "openvino": "packed", "cuda": "ragged"},
    "clip-text": {"cpu": "padded", "openvino": "padded", "cuda": "padded"},
    "text-image": {"cpu": "padded", "openvino": "padded", "cuda": "padded"},
}
"""By family and provider: how texts share rows."""
