"""Networks that read token ids: graphs built from a checkpoint, or ready ONNX files as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deployments.catalogue.card import ModelCard
from deployments.catalogue.families import Precision
from deployments.contract import Floats, MultiVectors
from deployments.errors import ModelError
from deployments.graphs.cache import kept
from deployments.graphs.checkpoint import Checkpoint, Config, has_tensors
from deployments.networks.layouts import Layout, Padded
from deployments.networks.packing import Packed, pack
from deployments.networks.session import Session, SessionSettings, open_session, provider_of

READY = "model.onnx"

Ids = npt.NDArray[np.int32]
Lengths = npt.NDArray[np.int32]
BuildGraph = Callable[..., bytes]
"""Makes a graph of a checkpoint and the type of its weights, and where it can be packed, of what a row holds."""

_AXES_OF_TOKENS = 3
"""The axes of an output with a row a token."""


class Network(Protocol):
    """A model as a function of token ids."""

    @property
    def layout(self) -> Layout:
        """Which texts go well together in a run."""
        ...

    def __call__(self, texts: Sequence[Sequence[int]], attended: Lengths) -> MultiVectors | Floats:
        """The output for texts of which the first `attended` tokens are attended to, in their order.

        One row a token, or an array with one row a text where the network ends so.
        """
        ...


@dataclass(frozen=True)
class PaddedNetwork:
    """Takes each text in a row of its own; `run` is given ids `[texts, tokens]`, and how many are attended to."""

    run: Callable[[Ids, Lengths], Floats]
    layout: Padded

    def __call__(self, texts: Sequence[Sequence[int]], attended: Lengths) -> MultiVectors | Floats:
        """As `Network`."""
        tokens = [len(text) for text in texts]
        ids = fill_up(texts, self.layout.row_length(tokens))
        output = self.run(ids, attended)
        if output.ndim < _AXES_OF_TOKENS:
            return output
        is_text = np.arange(ids.shape[1]) < np.array(tokens)[:, None]
        return MultiVectors(output[is_text], _offsets(tokens))


@dataclass(frozen=True)
class PackedNetwork:
    """Takes several texts in a row, and gives a row a token."""

    session: Session
    layout: Packed

    def __call__(self, texts: Sequence[Sequence[int]], attended: Lengths) -> MultiVectors:
        """As `Network`."""
        rows = pack(texts, attended.tolist())
        inputs = {"input_ids": rows.ids, "positions": rows.positions, "texts": rows.texts, "attended": rows.attended}
        (output,) = self.session.run(inputs)
        return MultiVectors(output.reshape(-1, output.shape[-1])[rows.places], _offsets([len(text) for text in texts]))


def open_network(
    card: ModelCard, folder: Path, settings: SessionSettings, build: BuildGraph, positions: Callable[[Config], int]
) -> PaddedNetwork:
    """The network of a text model: built from its checkpoint, or where there is none, its ready ONNX file.

    `positions` says how many tokens a checkpoint's model can read.

    Raises:
        ModelError: the model cannot be run here, or not with these settings, or reads less than its card says.
        ModelFilesError: a file is missing or damaged.
    """
    unsuitable = tuple(card.spec.unsuitable_precisions)
    layout = Padded(int(card.context_window or 0))
    if is_ready(folder):
        return PaddedNetwork(partial(_run_ready, open_ready(folder, settings, unsuitable)), layout)
    checkpoint = _checkpoint(card, folder, positions)
    return PaddedNetwork(
        partial(_run_built, open_session(partial(kept, build, checkpoint), settings, unsuitable)), layout
    )


def open_packed_network(
    card: ModelCard, folder: Path, settings: SessionSettings, build: BuildGraph, positions: Callable[[Config], int]
) -> Network:
    """As `open_network`, for models that give a row a token: texts share rows, wherever that is faster.

    A ready file takes rows of one text, and so does the fused attention of onnxruntime's CUDA provider.
    """
    if is_ready(folder) or provider_of(settings) == "cuda":
        return open_network(card, folder, settings, build, positions)
    checkpoint = _checkpoint(card, folder, positions)

    def packed(weights: npt.DTypeLike) -> bytes | Path:
        return kept(build, checkpoint, weights, "packed")

    return PackedNetwork(open_session(packed, settings, tuple(card.spec.unsuitable_precisions)), Packed())


def _checkpoint(card: ModelCard, folder: Path, positions: Callable[[Config], int]) -> Checkpoint:
    checkpoint = Checkpoint(folder)
    if (card.context_window or 0) > positions(checkpoint):
        end = positions(checkpoint)
        raise ModelError(f"{card.name}: context_window is {card.context_window}, but the model ends at {end}")
    return checkpoint


def is_ready(folder: Path) -> bool:
    """Whether a folder has an ONNX file in place of a checkpoint."""
    return (folder / READY).is_file() and not has_tensors(folder)


def open_ready(folder: Path, settings: SessionSettings, unsuitable: tuple[Precision, ...] = ()) -> Session:
    """A folder's ONNX file.

    Raises:
        ModelError: it cannot be run here, or should run in float16, which only building from a checkpoint can give.
    """

    def file(weights: npt.DTypeLike) -> Path:
        if np.dtype(weights) != np.float32:
            raise ModelError(f"{folder}: {READY} runs in the precision it was stored in, not in {np.dtype(weights)}")
        return folder / READY

    return open_session(file, settings, (*unsuitable, "float16"))


def fill_up(items: Sequence[Sequence[int]], tokens: int) -> Ids:
    """Token ids `[rows, tokens]`, filled up with zeros on the right."""
    ids = np.zeros((len(items), tokens), np.int32)
    for row, item in zip(ids, items, strict=True):
        row[: len(item)] = item
    return ids


def _offsets(tokens: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *tokens], dtype=np.int64)


def _run_built(session: Session, ids: Ids, lengths: Lengths) -> Floats:
    (output,) = session.run({"input_ids": ids, "lengths": lengths})
    return output


def _run_ready(session: Session, ids: Ids, lengths: Lengths) -> Floats:
    """The inputs have the names that exporters give them; the first output counts, as in fastembed."""
    is_text = np.arange(ids.shape[1]) < lengths[:, None]
    inputs = {"input_ids": ids, "attention_mask": is_text, "token_type_ids": np.zeros_like(ids)}
    output, *_ = session.run({name: array.astype(np.int64) for name, array in inputs.items()})
    return output.astype(np.float32, copy=False)
