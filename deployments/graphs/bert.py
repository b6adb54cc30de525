"""BERT (Devlin et al. 2018) and its masked-language head as used by SPLADE (Formal et al. 2021).

Inputs: `input_ids` int32 `[batch, tokens]`, filled up on the right, and `lengths` int32 `[batch]`, how many of each
row's tokens count.
"""

from __future__ import annotations

import numpy as np

from deployments.checkpoint import Checkpoint
from deployments.errors import ModelError
from deployments.graphs.builder import FUSED, Graph


def encoder(checkpoint: Checkpoint) -> bytes:
    """A model that gives the last hidden states, float32 `[batch, tokens, hidden]`; those of padding mean nothing.

    Raises:
        ModelError: the checkpoint is no BERT, or of a kind not known here.
    """
    graph = Graph(checkpoint)
    return graph.serialize(_hidden_states(graph), ["batch", "tokens", checkpoint.setting("hidden_size")])


def splade(checkpoint: Checkpoint) -> bytes:
    """A model that gives each vocabulary entry's weight, float32 `[batch, vocabulary]`.

    The weight is the maximum over the text's tokens of log(1 + relu(logit)). Both functions are monotone and the bias
    is the same for all tokens, so the maximum is taken first and the rest is done once a text, not once a token.

    Raises:
        ModelError: as for `encoder`.
    """
    graph = Graph(checkpoint)
    hidden = _first_token_for_padding(graph, _hidden_states(graph))
    hidden = graph.add("Gelu", graph.linear(hidden, "cls.predictions.transform.dense"))
    hidden = graph.layer_norm(hidden, "cls.predictions.transform.LayerNorm", checkpoint.setting("layer_norm_eps"))
    logits = graph.matmul(hidden, _output_embeddings(checkpoint))
    highest = graph.add("ReduceMax", logits, graph.constant(np.array([1])), keepdims=0)
    highest = graph.add("Add", highest, graph.constant(checkpoint["cls.predictions.bias"]))
    one = graph.constant(np.ones(1, np.float32))
    weights = graph.add("Log", graph.add("Add", graph.add("Relu", highest), one))
    return graph.serialize(weights, ["batch", checkpoint.setting("vocab_size")])


def _hidden_states(graph: Graph) -> str:
    checkpoint = graph.checkpoint
    _expect_plain_bert(checkpoint)
    epsilon = checkpoint.setting("layer_norm_eps")
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    lengths = graph.input("lengths", np.int32, ["batch"])
    hidden = _embed(graph, ids, epsilon)
    for number in range(checkpoint.setting("num_hidden_layers")):
        layer = f"encoder.layer.{number}"
        names = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        attended = graph.attention(hidden, names, checkpoint.setting("num_attention_heads"), lengths=lengths)
        hidden = _add_and_norm(graph, attended, hidden, f"{layer}.attention.output", epsilon)
        wide = graph.matmul(hidden, f"{layer}.intermediate.dense")
        bias = graph.constant(checkpoint[f"{layer}.intermediate.dense.bias"])
        wide = graph.add("BiasGelu", wide, bias, domain=FUSED)
        hidden = _add_and_norm(graph, wide, hidden, f"{layer}.output", epsilon)
    return hidden


def _expect_plain_bert(checkpoint: Checkpoint) -> None:
    checkpoint.expect_architecture("bert")
    for name, known in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        value = checkpoint.setting(name, default=known)
        if value != known:
            raise ModelError(f"{checkpoint.folder}: {name} '{value}' cannot be run here, only '{known}'")


def _embed(graph: Graph, ids: str, epsilon: float) -> str:
    """Words and positions; the segment is always the first, so its embedding goes into those of the positions."""
    checkpoint = graph.checkpoint
    segments = checkpoint["embeddings.token_type_embeddings.weight"]
    words = graph.constant(checkpoint["embeddings.word_embeddings.weight"])
    positions = graph.constant(checkpoint["embeddings.position_embeddings.weight"] + segments[0])
    norm = graph.norm_weights("embeddings.LayerNorm")
    inputs = [ids, "", words, positions, "", *norm]
    return graph.add("EmbedLayerNormalization", *inputs, domain=FUSED, epsilon=epsilon, unused=1)


def _add_and_norm(graph: Graph, value: str, skip: str, name: str, epsilon: float) -> str:
    """A linear layer, the residual, and the LayerNorm after it."""
    bias = graph.constant(graph.checkpoint[f"{name}.dense.bias"])
    inputs = [graph.matmul(value, f"{name}.dense"), skip, *graph.norm_weights(f"{name}.LayerNorm"), bias]
    return graph.add("SkipLayerNormalization", *inputs, domain=FUSED, epsilon=epsilon)


def _first_token_for_padding(graph: Graph, hidden: str) -> str:
    """The hidden states with each padding token replaced by the text's first one, which changes no maximum."""
    zero, one = graph.constant(np.array(0, np.int32)), graph.constant(np.array(1, np.int32))
    last_axis = graph.constant(np.array([-1]))
    tokens = graph.add("Squeeze", graph.cast(graph.add("Shape", "input_ids", start=1, end=2), np.int32))
    positions = graph.add("Range", zero, tokens, one)
    is_text = graph.add("Less", positions, graph.add("Unsqueeze", "lengths", last_axis))
    first = graph.add("Gather", hidden, graph.constant(np.array([0])), axis=1)
    return graph.add("Where", graph.add("Unsqueeze", is_text, last_axis), hidden, first)


def _output_embeddings(checkpoint: Checkpoint) -> str:
    """The head's output layer; most checkpoints leave it out because it is the table of input words."""
    decoder = "cls.predictions.decoder"
    return decoder if f"{decoder}.weight" in checkpoint else "embeddings.word_embeddings"
