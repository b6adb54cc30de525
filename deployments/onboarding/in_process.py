"""A model run in this process, with no replica around it: to check it and to measure it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import helper

from deployments.architectures.checkpoint import Config
from deployments.architectures.known import missing
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Embeddings, Vector
from deployments.families.chunks import cut, together
from deployments.families.protocol import Family
from deployments.networks.opening import is_ready, open_built
from deployments.networks.settings import SessionSettings
from deployments.replica.settings import ReplicaSettings

TOKEN_BUDGET = ReplicaSettings().token_budget
"""As replicas have it if nothing else is configured."""


def embed(family: Family, batch: Batch, budget: int = TOKEN_BUDGET) -> Embeddings:
    """The embeddings of a batch, cut by length into chunks of at most `budget` tokens, padding included."""
    prepared = family.prepare(batch)
    vectors: dict[int, Vector] = {}
    for chunk in cut(prepared.tokens, budget):
        results = family.run(prepared, chunk)
        vectors.update((int(position), results[place]) for place, position in enumerate(chunk))
    in_order = [vectors[position] for position in range(len(batch))]
    return Embeddings(together(in_order), prepared.tokens, prepared.truncated)


def runs_as(card: ModelCard, settings: SessionSettings) -> str:
    """The provider and the precision that a model gets here with these settings, in words.

    Raises:
        ModelError: they cannot be had here.
    """
    if not card.sources:
        return "on the CPU, by code of its own"
    session = open_built(card, _smallest_model, settings)
    return f"on {session.provider} in {session.precision}"


def graph_of(folder: Path) -> str:
    """Whether a model's graph is made here or comes ready, and why, in words."""
    if not is_ready(folder):
        return "built here from the checkpoint, for the provider and the precision"
    reason = missing(Config(folder))
    return f"a ready ONNX file, run as it is, because {reason or 'the files hold no checkpoint'}"


def _smallest_model(_weights: npt.DTypeLike) -> bytes:
    """A model that returns its input, to see how a session opens."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
    ends = [helper.make_tensor_value_info(name, kind, [1]) for name in ("input", "output")]
    node = helper.make_node("Identity", ["input"], ["output"])
    model = helper.make_model(
        helper.make_graph([node], "smallest", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    return bytes(model.SerializeToString())
