"""Networks that read token ids: graphs built from a checkpoint, or ready ONNX files as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deployments.catalogue import ModelCard
from deployments.checkpoint import Checkpoint, Config, has_tensors
from deployments.contract import Floats
from deployments.errors import ModelError
from deployments.families.pooling import Lengths
from deployments.graph_cache import kept
from deployments.session import Precision, Session, SessionSettings, open_session

READY = "model.onnx"

TOO_COARSE: dict[str, tuple[Precision, ...]] = {"sparse": ("bfloat16",), "late-interaction": ("bfloat16",)}
"""By family. The lowest cosine of bfloat16 to float32 that was measured is 0.9995 for SPLADE, whose entries come from a
few large numbers, and 0.9998 for vectors of single tokens."""

Ids = npt.NDArray[np.int32]
Network = Callable[[Ids, Lengths], Floats]
"""From token ids `[rows, tokens]`, of which each row's first `lengths` are attended to, to the model's first output."""

BuildGraph = Callable[[Checkpoint, npt.DTypeLike], bytes]


def open_network(
    card: ModelCard, folder: Path, settings: SessionSettings, build: BuildGraph, positions: Callable[[Config], int]
) -> Network:
    """The network of a text model: built from its checkpoint, or where there is none, its ready ONNX file.

    `positions` says how many tokens a checkpoint's model can read.

    Raises:
        ModelError: the model cannot be run here, or not with these settings, or reads less than its card says.
        ModelFilesError: a file is missing or damaged.
    """
    too_coarse = TOO_COARSE.get(card.family, ())
    if is_ready(folder):
        return partial(_run_ready, open_ready(folder, settings, too_coarse))
    checkpoint = Checkpoint(folder)
    if (card.context_window or 0) > positions(checkpoint):
        end = positions(checkpoint)
        raise ModelError(f"{card.name}: context_window is {card.context_window}, but the model ends at {end}")
    return partial(_run_built, open_session(partial(kept, build, checkpoint), settings, too_coarse))


def is_ready(folder: Path) -> bool:
    """Whether a folder has an ONNX file in place of a checkpoint."""
    return (folder / READY).is_file() and not has_tensors(folder)


def open_ready(folder: Path, settings: SessionSettings, too_coarse: tuple[Precision, ...] = ()) -> Session:
    """A folder's ONNX file.

    Raises:
        ModelError: it cannot be run here, or should run in float16, which only building from a checkpoint can give.
    """

    def file(weights: npt.DTypeLike) -> Path:
        if np.dtype(weights) != np.float32:
            raise ModelError(f"{folder}: {READY} runs in the precision it was stored in, not in {np.dtype(weights)}")
        return folder / READY

    return open_session(file, settings, (*too_coarse, "float16"))


def fill_up(items: Sequence[Sequence[int]], tokens: int) -> Ids:
    """Token ids `[rows, tokens]`, filled up with zeros on the right."""
    ids = np.zeros((len(items), tokens), np.int32)
    for row, item in zip(ids, items, strict=True):
        row[: len(item)] = item
    return ids


def _run_built(session: Session, ids: Ids, lengths: Lengths) -> Floats:
    (output,) = session.run({"input_ids": ids, "lengths": lengths})
    return output


def _run_ready(session: Session, ids: Ids, lengths: Lengths) -> Floats:
    """The inputs have the names that exporters give them; the first output counts, as in fastembed."""
    is_text = np.arange(ids.shape[1]) < lengths[:, None]
    inputs = {"input_ids": ids, "attention_mask": is_text, "token_type_ids": np.zeros_like(ids)}
    output, *_ = session.run({name: array.astype(np.int64) for name, array in inputs.items()})
    return output.astype(np.float32, copy=False)
