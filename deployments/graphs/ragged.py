"""Graphs of text models that read ragged texts, for onnxruntime's CUDA provider.

As in `heads.py`, but they end with what the model is asked for: nothing else leaves the card. `weights` is the type of
the weights, and the one that the model computes in; large weights are written to the file `external`, if there is one.
All raise ModelError as `heads.encoder` does.
"""

from __future__ import annotations

from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint
from deployments.graphs import heads, pooling
from deployments.graphs.rows import Ragged


def encoder(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike,
    pooled: str,
    normalized: bool,  # noqa: FBT001  `kept` knows no names
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives a vector a text, float32 `[texts, hidden]`; `pooled` is the name of the pooling."""
    graph, model, tokens, hidden = heads.begun(checkpoint, weights, "ragged", external)
    checkpoint.expect_all_read(*model.unused, *heads.of_head(model))
    rows = pooling.pooled(graph, cast("Ragged", tokens.ragged), hidden, pooled)
    return graph.serialize(pooling.normalized(graph, rows) if normalized else rows, ["texts", model.hidden])


def hidden_states(checkpoint: Checkpoint, weights: npt.DTypeLike, *, external: BinaryIO | None = None) -> bytes:
    """A model that gives the last hidden states, float32 `[tokens, hidden]`, of which several vectors are made."""
    graph, model, _, hidden = heads.begun(checkpoint, weights, "ragged", external)
    checkpoint.expect_all_read(*model.unused, *heads.of_head(model))
    return graph.serialize(hidden, ["tokens", model.hidden])


def colbert(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike,
    normalized: bool,  # noqa: FBT001  as above
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives a vector a token, float32 `[tokens, dimensions]`."""
    graph, model, _, hidden = heads.begun(checkpoint, weights, "ragged", external, masked=True)
    projected, width = heads.token_vectors(graph, hidden)
    checkpoint.expect_all_read(*model.unused, *heads.of_head(model))
    rows = graph.to_float32(projected)
    return graph.serialize(pooling.normalized(graph, rows) if normalized else rows, ["tokens", width])


def splade(checkpoint: Checkpoint, weights: npt.DTypeLike, *, external: BinaryIO | None = None) -> bytes:
    """A model that gives the weights above zero, float32 `[weights]`, and `places` int64 `[2, weights]` before them.

    A place is a text and an entry of the vocabulary; they come in this order.
    """
    graph, model, _, hidden = heads.begun(checkpoint, weights, "ragged", external)
    head = heads.head_of(checkpoint, model)
    before, table = heads.before_words(graph, model, hidden)
    highest = pooling.highest(graph, before, table)
    places, values = pooling.above_zero(graph, heads.word_weights(graph, head, highest))
    checkpoint.expect_all_read(*model.unused, *head.unused)
    graph.output(places, "places", np.int64, [2, "weights"])
    return graph.serialize(values, ["weights"])


def scores(checkpoint: Checkpoint, weights: npt.DTypeLike, *, external: BinaryIO | None = None) -> bytes:
    """A model that gives the score of a pair, float32 `[pairs, 1]`."""
    graph, model, tokens, hidden = heads.begun(checkpoint, weights, "ragged", external, pairs=True)
    head = heads.score_head_of(checkpoint, model)
    rows = graph.to_weights(pooling.pooled(graph, cast("Ragged", tokens.ragged), hidden, head.pooling))
    score = heads.scored(graph, model, rows)
    checkpoint.expect_all_read(*model.unused, *heads.of_head(model))
    return graph.serialize(score, ["pairs", 1])
