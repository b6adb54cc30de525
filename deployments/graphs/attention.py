"""The attention of a text's first token, of which BM42 makes the weights of words."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint
from deployments.architectures.known import transformer
from deployments.architectures.transformer import Attention, Mlp, Residual, Sight, Transformer
from deployments.errors import ModelError
from deployments.graphs.blocks import hidden_states
from deployments.graphs.builder import Graph
from deployments.graphs.heads import of_head
from deployments.graphs.rows import Rows, Tokens, read_rows


def of_first_tokens(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike = np.float32,
    rows: Rows = "padded",
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives how a text's first token scores each in the last layer, float32 `[batch, tokens, heads]`.

    The softmax of a text's scores is the attention; packed rows hold several texts, so that it is done behind the
    graph. What the layer makes of its attention is left out.

    Raises:
        ModelError: as for `heads.encoder`; or the architecture attends by more than queries and keys.
    """
    model = transformer(checkpoint)
    part, unread = _last_layer(checkpoint, model)
    graph = Graph(checkpoint, weights, external)
    tokens = read_rows(graph, rows)
    hidden = hidden_states(graph, tokens, replace(model, residuals=model.residuals[:-2]))
    query, key = (graph.linear(hidden, name) for name in part.inputs[:2])
    product = graph.add("Mul", graph.add("MatMul", _picks_first(graph, tokens, part.size**-0.5), query), key)
    by_heads = graph.add("Reshape", product, graph.constant(np.array([0, 0, part.heads, part.size])))
    scores = graph.add("ReduceSum", by_heads, graph.constant(np.array([-1])), keepdims=0)
    checkpoint.expect_all_read(*model.unused, *of_head(model), *unread)
    return graph.serialize(scores, ["batch", "tokens", part.heads])


def _picks_first(graph: Graph, tokens: Tokens, factor: float) -> str:
    """`[batch, 1 or tokens, tokens]`: `factor` where the second token is the first of the first one's text, else 0."""
    is_first = graph.add("Equal", tokens.positions, graph.constant(np.array(0, np.int32)))
    picks = graph.add("And", tokens.attends, graph.add("Unsqueeze", is_first, graph.constant(np.array([1]))))
    return graph.add("Where", picks, *(graph.weight(np.array(value, np.float32)) for value in (factor, 0)))


def _last_layer(checkpoint: Checkpoint, model: Transformer) -> tuple[Attention, list[str]]:
    """The last attention, and patterns of the tensors that are not needed then.

    Raises:
        ModelError: it is not that of BERT.
    """
    attends, widens = model.residuals[-2:]
    part, mlp = attends.part, widens.part
    if not isinstance(part, Attention) or not isinstance(mlp, Mlp) or not _is_plain(attends, part):
        model_type = checkpoint.setting("model_type")
        raise ModelError(f"{checkpoint.folder}: the attention of '{model_type}' cannot be told here, only that of BERT")
    names = (*part.inputs[2:], part.output, attends.after, *mlp.wide, mlp.narrow, widens.after)
    return part, [f"{name}.*" for name in names]


def _is_plain(residual: Residual, part: Attention) -> bool:
    """Whether it has queries and keys, layers of their own, and no more."""
    separate = len(part.inputs) == len(("query", "key", "value"))
    plain = Attention(part.inputs, part.output, part.heads, part.size, part.heads, Sight())
    return separate and part == plain and not residual.before
