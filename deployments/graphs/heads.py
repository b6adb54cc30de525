"""Graphs of text models: an encoder, and what stands on top of it.

The heads are the masked-language head as used by SPLADE (Formal et al. 2021), the projection of ColBERT (Khattab,
Zaharia 2020), and the classification head of cross-encoders (Nogueira, Cho 2019). What the graphs read stands in
`rows.py`.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.architectures.known import transformer
from deployments.architectures.transformer import MaskedHead, ScoreHead, Transformer
from deployments.errors import ModelError
from deployments.graphs import pooling
from deployments.graphs.blocks import hidden_states
from deployments.graphs.builder import Graph
from deployments.graphs.rows import Rows, Tokens, read_rows, read_segments


def positions(config: Config) -> int:
    """How many tokens a model can read."""
    return transformer(config).positions


def float16(config: Config) -> bool:
    """Whether a model can compute in float16."""
    return transformer(config).float16


def encoder(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike = np.float32,
    rows: Rows = "padded",
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives the last hidden states, float32 `[batch, tokens, hidden]`.

    Tokens that are not attended to have hidden states too. `weights` is the type of the weights, and the one that the
    model computes in: float32 or float16. Large weights are written to the file `external`, if there is one.

    Raises:
        ModelError: the checkpoint is of an architecture that is not known here, or of an unknown kind of one.
    """
    graph, model, _, hidden = begun(checkpoint, weights, rows, external)
    checkpoint.expect_all_read(*model.unused, *of_head(model))
    return graph.serialize(hidden, ["batch", "tokens", model.hidden])


def colbert(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike = np.float32,
    rows: Rows = "padded",
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives a vector a token, float32 `[batch, tokens, dimensions]`, not normalized yet.

    The projection is the tensor `linear.weight`, or stands in folders beside the checkpoint.

    Raises:
        ModelError: as for `encoder`.
    """
    graph, model, _, hidden = begun(checkpoint, weights, rows, external)
    projected, width = token_vectors(graph, hidden)
    checkpoint.expect_all_read(*model.unused, *of_head(model))
    return graph.serialize(projected, ["batch", "tokens", width])


def splade(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike = np.float32,
    rows: Rows = "padded",
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives each vocabulary entry's weight, float32 `[batch, vocabulary]`.

    The weight is the maximum over the text's tokens of log(1 + relu(logit)). Both functions are monotone and the bias
    is the same for all tokens, so the maximum is taken first and the rest is done once a text, not once a token.

    Of packed rows, it gives the highest logits in each piece of a text, float32 `[pieces, vocabulary]`, and reads
    `slots` int32 `[pieces, tokens]` too: which tokens, counted over all rows, a piece has.

    Raises:
        ModelError: as for `encoder`.
    """
    graph, model, tokens, hidden = begun(checkpoint, weights, rows, external)
    head = head_of(checkpoint, model)
    if rows == "packed":
        hidden = graph.add("Reshape", hidden, graph.constant(np.array([-1, model.hidden])))
        entries = logits(graph, head, pooling.highest(graph, *before_words(graph, model, hidden)))
    else:
        hidden, table = before_words(graph, model, _first_token_for_padding(graph, tokens, hidden))
        highest = graph.add("ReduceMax", graph.matmul(hidden, table), graph.constant(np.array([1])), keepdims=0)
        entries = word_weights(graph, head, highest)
    checkpoint.expect_all_read(*model.unused, *head.unused)
    return graph.serialize(entries, ["batch" if rows == "padded" else "pieces", checkpoint.shape(head.bias)[0]])


def scores(
    checkpoint: Checkpoint,
    weights: npt.DTypeLike = np.float32,
    rows: Rows = "padded",
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model that gives the score of a pair, float32 `[batch, 1]`.

    Of packed rows, float32 `[batch, tokens, 1]`, each pair's stands at its first token. Then the head is computed for
    every token, which costs a hundredth of what the layers do and spares the graph another size that varies.

    Raises:
        ModelError: as for `encoder`; or it has several labels.
    """
    graph, model, tokens, hidden = begun(checkpoint, weights, rows, external, pairs=True)
    head = score_head_of(checkpoint, model)
    score = scored(graph, model, _pooled(graph, tokens, head, hidden, rows))
    checkpoint.expect_all_read(*model.unused, *of_head(model))
    return graph.serialize(score, ["batch", 1] if rows == "padded" else ["batch", "tokens", 1])


def _pooled(graph: Graph, tokens: Tokens, head: ScoreHead, hidden: str, rows: Rows) -> str:
    """What the head reads: `[batch, hidden]`, or of packed rows `[batch, tokens, hidden]`."""
    if head.pooling == "mean":
        attends = graph.cast(tokens.attends, np.float32)
        shares = graph.add("Div", attends, graph.add("ReduceSum", attends, graph.constant(np.array([-1]))))
        hidden = graph.add("MatMul", graph.to_weights(shares), hidden)
    return hidden if rows == "packed" else graph.add("Gather", hidden, graph.constant(np.array(0)), axis=1)


def of_head(model: Transformer) -> tuple[str, ...]:
    """The tensors of a head for masked words: many encoders were made of a model with one."""
    head = model.head
    if head is None:
        return ()
    return (f"{head.dense}.*", f"{head.norm}.*", head.bias, f"{head.decoder}.*", *head.unused)


def begun(  # noqa: PLR0913  what a graph needs and what it reads
    checkpoint: Checkpoint,
    weights: npt.DTypeLike,
    rows: Rows,
    external: BinaryIO | None,
    *,
    pairs: bool = False,
    masked: bool = False,
) -> tuple[Graph, Transformer, Tokens, str]:
    """A graph up to the last hidden states, of `pairs` or of texts; `masked` as in `read_rows`."""
    model = transformer(checkpoint)
    if np.dtype(weights) == np.float16 and not model.float16:
        raise ModelError(f"{checkpoint.folder}: the hidden states of this model are too large for float16")
    graph = Graph(checkpoint, weights, external, for_cuda=rows == "ragged")
    tokens = read_rows(graph, rows, masked=masked)
    if pairs and _tells_segments(checkpoint, model):
        tokens = tokens._replace(segments=read_segments(graph, tokens))
    return graph, model, tokens, hidden_states(graph, tokens, model)


def _tells_segments(checkpoint: Checkpoint, model: Transformer) -> bool:
    """Whether a model knows more segments than one."""
    table = f"{model.embedding.segments}.weight"
    return table in checkpoint and checkpoint.shape(table)[0] > 1


def token_vectors(graph: Graph, hidden: str) -> tuple[str, int]:
    """The projections of ColBERT, and how wide they are."""
    names = [f"{name}.linear" for name in graph.checkpoint.beside] or ["linear"]
    for name in names:
        hidden = graph.linear(hidden, name)
    return hidden, graph.width(names[-1:])


def head_of(checkpoint: Checkpoint, model: Transformer) -> MaskedHead:
    """A model's head for masked words.

    Raises:
        ModelError: that of this architecture is not known here.
    """
    if model.head is None:
        model_type = checkpoint.setting("model_type")
        raise ModelError(f"{checkpoint.folder}: the head for masked words of '{model_type}' is not known here")
    return model.head


def before_words(graph: Graph, model: Transformer, hidden: str) -> tuple[str, str]:
    """The head's layers up to the table of words, and the name of that layer."""
    head = head_of(graph.checkpoint, model)
    hidden = graph.activate(graph.linear(hidden, head.dense), head.activation)
    hidden = graph.layer_norm(hidden, head.norm, model.norm.epsilon)
    return hidden, head.decoder if f"{head.decoder}.weight" in graph.checkpoint else model.embedding.words


def word_weights(graph: Graph, head: MaskedHead, highest: str) -> str:
    """The weights of words, float32, of the highest products that they have in a text."""
    one = graph.constant(np.ones(1, np.float32))
    return graph.add("Log", graph.add("Add", graph.add("Relu", logits(graph, head, highest)), one))


def logits(graph: Graph, head: MaskedHead, highest: str) -> str:
    """The logits of words, float32, of the highest products that they have."""
    return graph.add("Add", graph.to_float32(highest), graph.constant(graph.checkpoint[head.bias]))


def score_head_of(checkpoint: Checkpoint, model: Transformer) -> ScoreHead:
    """A model's head for classification, with one label.

    Raises:
        ModelError: that of this architecture is not known here, or it has several labels.
    """
    head = model.scores
    if head is None:
        model_type = checkpoint.setting("model_type")
        raise ModelError(f"{checkpoint.folder}: the head for classification of '{model_type}' is not known here")
    labels = checkpoint.shape(f"{head.labels}.weight")[0]
    if labels != 1:
        raise ModelError(f"{checkpoint.folder}: a model with {labels} labels is no reranker, which has one")
    return head


def scored(graph: Graph, model: Transformer, pooled: str) -> str:
    """The score of what the head reads, in place of its last axis."""
    head = score_head_of(graph.checkpoint, model)
    hidden = graph.activate(graph.linear(pooled, head.dense), head.activation)
    hidden = graph.layer_norm(hidden, head.norm, model.norm.epsilon) if head.norm else hidden
    return graph.linear(hidden, head.labels)


def _first_token_for_padding(graph: Graph, tokens: Tokens, hidden: str) -> str:
    """The hidden states with each padding token replaced by the text's first one, which changes no maximum."""
    is_text = graph.add("Transpose", tokens.attends, perm=[0, 2, 1])
    first = graph.add("Gather", hidden, graph.constant(np.array([0])), axis=1)
    return graph.add("Where", is_text, hidden, first)
