"""The nodes of a transformer's parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from deployments.architectures.transformer import Attention, Mlp, Norm, Residual, Rope, Sight, Transformer
from deployments.contract import Floats
from deployments.graphs.builder import FUSED, Graph
from deployments.graphs.rows import Ragged, Tokens, bias, slot_rows


class _Summand(NamedTuple):
    """The result of a part, to which its bias, if it has one, is still to be added."""

    value: str
    bias: str


def hidden_states(graph: Graph, tokens: Tokens, model: Transformer) -> str:
    """The last hidden states, `[batch, tokens, hidden]`, of ragged texts `[tokens, hidden]`."""
    hidden = _embedded(graph, tokens, model)
    for residual in model.residuals:
        hidden = _residual(graph, tokens, hidden, residual, model.norm)
    return _normed(graph, hidden, model.final_norm, model.norm) if model.final_norm else hidden


def _embedded(graph: Graph, tokens: Tokens, model: Transformer) -> str:
    embedding, checkpoint = model.embedding, graph.checkpoint
    hidden = graph.add("Gather", graph.weight(checkpoint[f"{embedding.words}.weight"]), tokens.ids)
    if embedding.scale != 1:
        hidden = graph.add("Mul", hidden, graph.weight(np.array(embedding.scale, np.float32)))
    segment = None if tokens.segments else _first_segment(graph, embedding.segments)
    if tokens.segments:
        segments = graph.weight(checkpoint[f"{embedding.segments}.weight"])
        hidden = graph.add("Add", hidden, graph.add("Gather", segments, tokens.segments))
    if embedding.positions:
        table = checkpoint[f"{embedding.positions}.weight"][embedding.first_position :]
        table = table if segment is None else table + segment
        hidden = graph.add("Add", hidden, graph.add("Gather", graph.weight(table), tokens.positions))
    elif segment is not None:
        hidden = graph.add("Add", hidden, graph.weight(segment))
    return _normed(graph, hidden, embedding.norm, model.norm) if embedding.norm else hidden


def _first_segment(graph: Graph, name: str) -> Floats | None:
    """The embedding of the first segment, in which all texts lie."""
    if not name or f"{name}.weight" not in graph.checkpoint:
        return None
    first: Floats = graph.checkpoint[f"{name}.weight"][0]
    return first


def _residual(graph: Graph, tokens: Tokens, hidden: str, residual: Residual, norm: Norm) -> str:
    value = _normed(graph, hidden, residual.before, norm) if residual.before else hidden
    part = residual.part
    result = _attention(graph, tokens, value, part, norm) if isinstance(part, Attention) else _mlp(graph, value, part)
    if residual.after and norm.kind == "layer":
        inputs = [result.value, hidden, *graph.norm_weights(residual.after), *filter(None, [result.bias])]
        return graph.add("SkipLayerNormalization", *inputs, domain=FUSED, epsilon=norm.epsilon)
    value = graph.add("Add", result.value, result.bias) if result.bias else result.value
    value = _normed(graph, value, residual.inside, norm) if residual.inside else value
    hidden = graph.add("Add", hidden, value)
    return _normed(graph, hidden, residual.after, norm) if residual.after else hidden


def _normed(graph: Graph, value: str, name: str, norm: Norm, scale: float = 1.0) -> str:
    if norm.kind == "layer":
        return graph.layer_norm(value, name, norm.epsilon)
    weight = graph.weight((graph.checkpoint[f"{name}.weight"] + np.float32(norm.offset)) * np.float32(scale))
    return graph.add("SimplifiedLayerNormalization", value, weight, axis=-1, epsilon=norm.epsilon)


def _attention(graph: Graph, tokens: Tokens, value: str, part: Attention, norm: Norm) -> _Summand:
    return _Summand(graph.matmul(_attended(graph, tokens, value, part, norm), part.output), graph.bias(part.output))


def _attended(graph: Graph, tokens: Tokens, value: str, part: Attention, norm: Norm) -> str:
    """What is attended to, without the output layer."""
    if tokens.ragged is not None:
        return _in_ragged_texts(graph, tokens, value, part, norm)
    is_plain = part.rope is None and part.norms is None and part.groups == part.heads and part.scale is None
    return _fused(graph, tokens, value, part) if is_plain else _rotated(graph, tokens, value, part, norm)


def _fused(graph: Graph, tokens: Tokens, value: str, part: Attention) -> str:
    """Attention by onnxruntime's operator."""
    if part.sight == Sight():
        return graph.attention(value, part.inputs, part.heads, mask=tokens.mask)
    return graph.attention(value, part.inputs, part.heads, bias=bias(graph, tokens, part.sight))


def _rotated(graph: Graph, tokens: Tokens, value: str, part: Attention, norm: Norm) -> str:
    """Attention by operators that all providers have, with all that `Attention` of onnxruntime cannot do."""
    scale = part.size**-0.5 if part.scale is None else part.scale
    widths = [part.heads * part.size, part.groups * part.size, part.groups * part.size]
    joined = graph.joined(value, part.inputs, scale=(widths[0], 1.0 if part.norms else scale))
    query, key, seen = graph.split(joined, widths)
    query, key, seen = (
        graph.add("Reshape", each, graph.constant(np.array([0, 0, width // part.size, part.size])))
        for each, width in zip((query, key, seen), widths, strict=True)
    )
    if part.norms:
        query = _normed(graph, query, part.norms[0], norm, scale)
        key = _normed(graph, key, part.norms[1], norm)
    query, key, seen = (graph.add("Transpose", each, perm=[0, 2, 1, 3]) for each in (query, key, seen))
    if part.rope is not None:
        query, key = (_turned(graph, tokens, each, part.rope, part.size) for each in (query, key))
    if part.groups != part.heads:
        shared = graph.constant(np.repeat(np.arange(part.groups), part.heads // part.groups))
        key, seen = (graph.add("Gather", each, shared, axis=1) for each in (key, seen))
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    shares = graph.add("Softmax", graph.add("Add", scores, bias(graph, tokens, part.sight)), axis=-1)
    rows = graph.add("Transpose", graph.add("MatMul", shares, seen), perm=[0, 2, 1, 3])
    return graph.add("Reshape", rows, graph.constant(np.array([0, 0, widths[0]])))


def _in_ragged_texts(graph: Graph, tokens: Tokens, value: str, part: Attention, norm: Norm) -> str:
    """Attention within each text by onnxruntime's operator for packed tokens, which its CUDA provider has.

    With a bias of the scores the operator is a slower one.
    """
    ragged = cast("Ragged", tokens.ragged)
    is_plain = part.rope is None and part.norms is None and part.groups == part.heads
    inputs = _joined_in_texts(graph, value, part) if is_plain else _separate_in_texts(graph, tokens, value, part, norm)
    scale: dict[str, Any] = {} if part.scale is None else {"scale": part.scale}
    inputs += [ragged.offset, ragged.starts, *_scores_bias(graph, ragged, part)]
    return graph.add("PackedMultiHeadAttention", *inputs, domain=FUSED, num_heads=part.heads, **scale)


def _joined_in_texts(graph: Graph, value: str, part: Attention) -> list[str]:
    """Queries, keys and values by one product of matrices; the operator adds their biases as it takes them apart.

    That is a fifth of the time of three products with a bias each (docs/gpu.md).
    """
    joined, bias = graph.by_heads(value, part.inputs, part.heads)
    return [joined, "", "", bias]


def _separate_in_texts(graph: Graph, tokens: Tokens, value: str, part: Attention, norm: Norm) -> list[str]:
    """Queries, keys and values, `[tokens, heads * size]` each, for what the operator cannot do itself."""
    counts = (part.heads, part.groups, part.groups)
    query, key, seen = graph.separate(value, part.inputs, [count * part.size for count in counts])
    if part.norms:
        query, key = (
            _of_heads(graph, each, part.size, partial(_normed, graph, name=name, norm=norm))
            for each, name in zip((query, key), part.norms, strict=True)
        )
    if part.rope is not None:
        query, key = (_turned_in_texts(graph, tokens, each, part.rope) for each in (query, key))
    if part.groups != part.heads:
        shared = graph.constant(np.repeat(np.arange(part.groups), part.heads // part.groups))
        key, seen = (
            _of_heads(graph, each, part.size, lambda heads: graph.add("Gather", heads, shared, axis=1))
            for each in (key, seen)
        )
    return [query, key, seen, ""]


def _of_heads(graph: Graph, value: str, size: int, change: Callable[[str], str]) -> str:
    """A value `[tokens, heads * size]` whose heads, `[tokens, heads, size]`, are changed."""
    changed = change(graph.add("Reshape", value, graph.constant(np.array([0, -1, size]))))
    return graph.add("Reshape", changed, graph.constant(np.array([0, -1])))


def _scores_bias(graph: Graph, ragged: Ragged, part: Attention) -> list[str]:
    """What is added to the scores, `[texts or 1, heads or 1, slots, slots]`, if all of a text is not seen alike."""
    if part.sight == Sight() and not ragged.attended:
        return []

    def make() -> str:
        count = graph.add("Shape", ragged.offset, start=1)
        ones = graph.constant(np.ones(2, np.int64))
        whole = graph.add("Concat", ones, count, count, axis=0)
        return graph.add("Expand", bias(graph, slot_rows(graph, ragged), part.sight), whole)

    return [graph.once(("whole bias", part.sight), make)]


def _turned_in_texts(graph: Graph, tokens: Tokens, value: str, rope: Rope) -> str:
    """As `_turned`, of ragged texts, by an operator that takes them as one row."""
    steps = np.arange(rope.positions, dtype=np.float32)[:, None] * np.array(rope.angles, np.float32)
    cosine, sine = (
        graph.once((name, rope), partial(graph.weight, function(steps)))
        for name, function in (("cos", np.cos), ("sin", np.sin))
    )
    row = graph.constant(np.array([0]))
    positions = graph.once(
        "positions of one row", lambda: graph.add("Unsqueeze", graph.cast(tokens.positions, np.int64), row)
    )
    inputs = [graph.add("Unsqueeze", value, row), positions, cosine, sine]
    turned = graph.add("RotaryEmbedding", *inputs, domain=FUSED, is_packed_batching=1)
    return graph.add("Squeeze", turned, row)


def _turned(graph: Graph, tokens: Tokens, value: str, rope: Rope, size: int) -> str:
    """Each head turned by the angle of its position: the first half of it is one side of the pairs."""
    cosine, sine = (
        graph.once((name, rope), partial(_at_positions, graph, tokens, rope, name)) for name in ("cos", "sin")
    )
    first, second = graph.split(value, [size // 2, size // 2])
    crossed = graph.add("Concat", graph.add("Neg", second), first, axis=-1)
    return graph.add("Add", graph.add("Mul", value, cosine), graph.add("Mul", crossed, sine))


def _at_positions(graph: Graph, tokens: Tokens, rope: Rope, name: str) -> str:
    """A table's rows at the tokens' positions: `[batch or 1, 1, tokens, size]`.

    In tables, because bfloat16 cannot tell high positions apart, but rounds what they give only a little.
    """
    steps = np.arange(rope.positions, dtype=np.float32)[:, None] * np.array(rope.angles * 2, np.float32)
    table = graph.weight(np.cos(steps) if name == "cos" else np.sin(steps))
    return graph.add("Unsqueeze", graph.add("Gather", table, tokens.positions), graph.constant(np.array([1])))


def _mlp(graph: Graph, value: str, part: Mlp) -> _Summand:
    if part.activated == "all":
        wide = _widened(graph, value, part.wide[0], part.activation)
    else:
        joined = graph.joined(value, part.wide)
        halves = graph.split(joined, [graph.width(part.wide) // 2] * 2)
        active, gate = halves if part.activated == "first half" else halves[::-1]
        wide = graph.add("Mul", graph.activate(active, part.activation), gate)
    return _Summand(graph.matmul(wide, part.narrow), graph.bias(part.narrow))


def _widened(graph: Graph, value: str, name: str, activation: str) -> str:
    """The wide layer with its activation."""
    bias_name = graph.bias(name)
    if activation != "gelu" or not bias_name:
        return graph.activate(graph.linear(value, name), activation)
    return graph.add("BiasGelu", graph.matmul(value, name), bias_name, domain=FUSED)
