"""BERT (Devlin et al. 2018), RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020), and heads on top of them.

The heads are the masked-language head as used by SPLADE (Formal et al. 2021) and the projection of ColBERT (Khattab,
Zaharia 2020).

A padded graph reads `input_ids` int32 `[batch, tokens]`, filled up on the right, and `lengths` int32 `[batch]`: how
many of each row's tokens are attended to. The rows of a packed one hold several texts: `input_ids`, `positions` in each
text, `texts` and `attended`, all int32 `[batch, tokens]`; a token attends to those whose `attended` is its own `texts`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from deployments.graphs.builder import FUSED, Graph
from deployments.graphs.checkpoint import Checkpoint, Config

Rows = Literal["padded", "packed"]
"""What a row holds: one text, filled up, or several."""

_ROBERTAS = ("roberta", "xlm-roberta", "camembert")
_UNUSED = ("pooler.*", "embeddings.*_ids")
_HEADS = ("cls.*", "lm_head.*")


def positions(config: Config) -> int:
    """How many tokens a model can read."""
    return int(config.setting("max_position_embeddings")) - _first_position(config)


class _Embedded(NamedTuple):
    """The first hidden states, and what says which tokens attend to which; see `Graph.attention`."""

    hidden: str
    mask: str


def encoder(checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32, rows: Rows = "padded") -> bytes:
    """A model that gives the last hidden states, float32 `[batch, tokens, hidden]`.

    Tokens that are not attended to have hidden states too. `weights` is the type of the weights, and the one that the
    model computes in: float32 or float16.

    Raises:
        ModelError: the checkpoint is no BERT, or of a kind not known here.
    """
    graph = Graph(checkpoint, weights)
    hidden = _hidden_states(graph, rows)
    checkpoint.expect_all_read(*_UNUSED, *_HEADS)
    return graph.serialize(hidden, ["batch", "tokens", checkpoint.setting("hidden_size")])


def colbert(checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32, rows: Rows = "padded") -> bytes:
    """A model that gives a vector a token, float32 `[batch, tokens, dimensions]`, not normalized yet.

    Raises:
        ModelError: as for `encoder`.
    """
    graph = Graph(checkpoint, weights)
    projected = graph.matmul(_hidden_states(graph, rows), "linear")
    checkpoint.expect_all_read(*_UNUSED, *_HEADS)
    return graph.serialize(projected, ["batch", "tokens", len(checkpoint["linear.weight"])])


def splade(checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32) -> bytes:
    """A model that gives each vocabulary entry's weight, float32 `[batch, vocabulary]`.

    The weight is the maximum over the text's tokens of log(1 + relu(logit)). Both functions are monotone and the bias
    is the same for all tokens, so the maximum is taken first and the rest is done once a text, not once a token.

    Raises:
        ModelError: as for `encoder`.
    """
    graph = Graph(checkpoint, weights)
    hidden = _first_token_for_padding(graph, _hidden_states(graph, "padded"))
    hidden = graph.linear(hidden, "cls.predictions.transform.dense")
    hidden = graph.activate(hidden, checkpoint.setting("hidden_act"))
    hidden = graph.layer_norm(hidden, "cls.predictions.transform.LayerNorm", checkpoint.setting("layer_norm_eps"))
    logits = graph.matmul(hidden, _output_embeddings(checkpoint))
    highest = graph.to_float32(graph.add("ReduceMax", logits, graph.constant(np.array([1])), keepdims=0))
    highest = graph.add("Add", highest, graph.constant(checkpoint["cls.predictions.bias"]))
    one = graph.constant(np.ones(1, np.float32))
    entries = graph.add("Log", graph.add("Add", graph.add("Relu", highest), one))
    checkpoint.expect_all_read(*_UNUSED, "cls.seq_relationship.*", "cls.predictions.decoder.bias")
    return graph.serialize(entries, ["batch", checkpoint.setting("vocab_size")])


def _hidden_states(graph: Graph, rows: Rows) -> str:
    checkpoint = graph.checkpoint
    checkpoint.expect_architecture("bert", *_ROBERTAS)
    checkpoint.expect("position_embedding_type", known="absolute")
    checkpoint.expect("is_decoder", known=False)
    epsilon = checkpoint.setting("layer_norm_eps")
    hidden, mask = _EMBED[rows](graph, epsilon)
    for number in range(checkpoint.setting("num_hidden_layers")):
        layer = f"encoder.layer.{number}"
        names = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        attended = graph.attention(hidden, names, checkpoint.setting("num_attention_heads"), mask=mask)
        hidden = _add_and_norm(graph, attended, hidden, f"{layer}.attention.output", epsilon)
        wide = _widen(graph, hidden, f"{layer}.intermediate.dense")
        hidden = _add_and_norm(graph, wide, hidden, f"{layer}.output", epsilon)
    return hidden


def _first_position(config: Config) -> int:
    """The row of the position table that belongs to a text's first token.

    RoBERTa's tables begin with rows for padding: up to and with the one whose number is the padding token's id.
    """
    is_roberta = config.setting("model_type") in _ROBERTAS
    return int(config.setting("pad_token_id", default=1)) + 1 if is_roberta else 0


def _embed_padded(graph: Graph, epsilon: float) -> _Embedded:
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    lengths = graph.input("lengths", np.int32, ["batch"])
    words, positions = _tables(graph)
    inputs = [ids, "", words, positions, "", *graph.norm_weights("embeddings.LayerNorm")]
    hidden = graph.add("EmbedLayerNormalization", *inputs, domain=FUSED, epsilon=epsilon, unused=1)
    return _Embedded(hidden, lengths)


def _embed_packed(graph: Graph, epsilon: float) -> _Embedded:
    ids, places, texts, attended = (
        graph.input(name, np.int32, ["batch", "tokens"]) for name in ("input_ids", "positions", "texts", "attended")
    )
    words, positions = _tables(graph)
    hidden = graph.add("Add", graph.add("Gather", words, ids), graph.add("Gather", positions, places))
    asking = graph.add("Unsqueeze", texts, graph.constant(np.array([2])))
    asked = graph.add("Unsqueeze", attended, graph.constant(np.array([1])))
    mask = graph.cast(graph.add("Equal", asking, asked), np.int32)
    return _Embedded(graph.layer_norm(hidden, "embeddings.LayerNorm", epsilon), mask)


_EMBED = {"padded": _embed_padded, "packed": _embed_packed}


def _tables(graph: Graph) -> tuple[str, str]:
    """The embeddings of words and positions; the segment is always the first, so it goes into the positions."""
    checkpoint = graph.checkpoint
    segments = checkpoint["embeddings.token_type_embeddings.weight"]
    positions = checkpoint["embeddings.position_embeddings.weight"][_first_position(checkpoint) :]
    return graph.weight(checkpoint["embeddings.word_embeddings.weight"]), graph.weight(positions + segments[0])


def _widen(graph: Graph, value: str, name: str) -> str:
    """The wide layer with its activation."""
    activation = graph.checkpoint.setting("hidden_act")
    if activation != "gelu":
        return graph.activate(graph.linear(value, name), activation)
    bias = graph.weight(graph.checkpoint[f"{name}.bias"])
    return graph.add("BiasGelu", graph.matmul(value, name), bias, domain=FUSED)


def _add_and_norm(graph: Graph, value: str, skip: str, name: str, epsilon: float) -> str:
    """A linear layer, the residual, and the LayerNorm after it."""
    bias = graph.weight(graph.checkpoint[f"{name}.dense.bias"])
    inputs = [graph.matmul(value, f"{name}.dense"), skip, *graph.norm_weights(f"{name}.LayerNorm"), bias]
    return graph.add("SkipLayerNormalization", *inputs, domain=FUSED, epsilon=epsilon)


def _first_token_for_padding(graph: Graph, hidden: str) -> str:
    """The hidden states with each padding token replaced by the text's first one, which changes no maximum."""
    zero, one = graph.constant(np.array(0, np.int32)), graph.constant(np.array(1, np.int32))
    last_axis = graph.constant(np.array([-1]))
    tokens = graph.add("Squeeze", graph.cast(graph.add("Shape", "input_ids", start=1, end=2), np.int32))
    numbers = graph.add("Range", zero, tokens, one)
    is_text = graph.add("Less", numbers, graph.add("Unsqueeze", "lengths", last_axis))
    first = graph.add("Gather", hidden, graph.constant(np.array([0])), axis=1)
    return graph.add("Where", graph.add("Unsqueeze", is_text, last_axis), hidden, first)


def _output_embeddings(checkpoint: Checkpoint) -> str:
    """The head's output layer; most checkpoints leave it out because it is the table of input words."""
    decoder = "cls.predictions.decoder"
    return decoder if f"{decoder}.weight" in checkpoint else "embeddings.word_embeddings"
