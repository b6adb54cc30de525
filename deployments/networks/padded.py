"""Networks that take each text in a row of its own, filled up to the length of the longest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.contract import Floats, MultiVectors, Running
from deployments.networks.base import Numbers, Output, offsets
from deployments.networks.layouts import Padded
from deployments.networks.session import Session

_AXES_OF_TOKENS = 3
"""The axes of an output with a row a token."""


@dataclass(frozen=True)
class PaddedNetwork:
    """`run` is given the session, ids `[texts, tokens]`, how many of each text are attended to, and the segments."""

    session: Session
    run: Callable[[Session, Numbers, Numbers, Numbers], Floats]
    layout: Padded

    @property
    def running(self) -> Running:
        """How it runs."""
        return self.session.running

    def __call__(self, texts: Sequence[Sequence[int]], attended: Numbers, firsts: Numbers | None = None) -> Output:
        """As `Network`."""
        tokens = [len(text) for text in texts]
        ids = fill_up(texts, self.layout.row_length(tokens))
        output = self.run(self.session, ids, attended, _segments(ids, tokens, firsts))
        if output.ndim < _AXES_OF_TOKENS:
            return output
        is_text = np.arange(ids.shape[1]) < np.array(tokens)[:, None]
        return MultiVectors(output[is_text], offsets(tokens))


def _segments(ids: Numbers, tokens: Sequence[int], firsts: Numbers | None) -> Numbers:
    """1 in the second part of each pair, 0 elsewhere."""
    if firsts is None:
        return np.zeros_like(ids)
    places = np.arange(ids.shape[1])
    return ((places >= firsts[:, None]) & (places < np.array(tokens)[:, None])).astype(np.int32)


def run_built(session: Session, ids: Numbers, lengths: Numbers, segments: Numbers) -> Floats:
    """Run a graph that was built from a checkpoint."""
    (output,) = session.run({"input_ids": ids, "lengths": lengths, "segments": segments})
    return output


READY_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
"""The names that exporters give to the inputs of a ready file."""

TASK_INPUT = "task_id"
"""The input that chooses one of a ready file's adapters, such as those of Jina's embeddings v3."""


def run_ready(  # noqa: PLR0913  what it is given, and what is made of it
    session: Session,
    ids: Numbers,
    lengths: Numbers,
    segments: Numbers,
    *,
    output: str | None = None,
    task: int | None = None,
) -> Floats:
    """Run a ready file. Its first output counts, as in fastembed, unless another one is named."""
    places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    arrays: tuple[npt.NDArray[Any], ...] = (ids, places < lengths[:, None], segments, places)
    given = dict(zip(READY_INPUTS, arrays, strict=True))
    if task is not None:
        given[TASK_INPUT] = np.array(task)
    found, *_ = session.run(given, output)
    return found.astype(np.float32, copy=False)


def with_task(network: PaddedNetwork, output: str | None, task: int) -> PaddedNetwork:
    """The network of a ready file, told which adapter to use."""
    return replace(network, run=partial(run_ready, output=output, task=task))


def fill_up(items: Sequence[Sequence[int]], tokens: int) -> Numbers:
    """Token ids `[rows, tokens]`, filled up with zeros on the right."""
    ids = np.zeros((len(items), tokens), np.int32)
    for row, item in zip(ids, items, strict=True):
        row[: len(item)] = item
    return ids
