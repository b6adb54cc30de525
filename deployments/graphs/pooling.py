"""From the tokens of ragged texts to one row a text, so that no more than that leaves the card.

Means are computed in float32, whatever the type of the hidden states. `families/pooling.py` has the same for networks
that give a row a token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from deployments.graphs.builder import Graph
from deployments.graphs.rows import Ragged, slot_places

_SHORTEST = 1e-12
"""What a row is divided by at least: one of zeros stays."""

_ENTRIES = 4096
"""Entries of a vocabulary whose scores are computed at a time: of 16 thousand tokens, 134 MB in float16."""

Pooled = Callable[[Graph, Ragged, str], str]
"""From hidden states `[tokens, hidden]` to float32 `[texts, hidden]`."""


def pooled(graph: Graph, tokens: Ragged, hidden: str, pooling: str) -> str:
    """One row a text, float32 `[texts, hidden]`, by the name of its pooling."""
    return _POOLINGS[pooling](graph, tokens, hidden)


def normalized(graph: Graph, rows: str) -> str:
    """Each row divided by its Euclidean length."""
    lengths = graph.add("ReduceL2", rows, graph.constant(np.array([1])), keepdims=1)
    shortest = graph.constant(np.array(_SHORTEST, np.float32))
    return graph.add("Div", rows, graph.add("Max", lengths, shortest))


def highest(graph: Graph, hidden: str, table: str) -> str:
    """The highest of the products of a text's hidden states with each row of a tensor, `[texts, rows of it]`.

    For a part of the rows at a time: all products of all tokens would be gigabytes on a card, and more than the caches
    of a CPU hold. Packed rows have their texts in pieces.
    """
    in_slots = _in_slots(graph, hidden)
    weight, axis = graph.checkpoint[f"{table}.weight"], graph.constant(np.array([1]))
    parts = [
        graph.add("ReduceMax", graph.add("MatMul", in_slots, graph.weight(part.T)), axis, keepdims=0)
        for part in np.split(weight, range(_ENTRIES, len(weight), _ENTRIES))
    ]
    return graph.add("Concat", *parts, axis=1)


def above_zero(graph: Graph, rows: str) -> tuple[str, str]:
    """The entries of `rows` that are above zero, row by row: where each is, int64 `[2, entries]`, and its value."""
    places = graph.add("NonZero", graph.add("Greater", rows, graph.constant(np.array(0, np.float32))))
    return places, graph.add("GatherND", rows, graph.add("Transpose", places, perm=[1, 0]))


def _in_slots(graph: Graph, hidden: str) -> str:
    """The hidden states `[texts, slots, hidden]`; in empty slots stands that of the text's first token."""
    return graph.add("Gather", hidden, graph.input("slots", np.int32, ["texts", "slots"]))


def _bounds(graph: Graph, tokens: Ragged) -> tuple[str, str]:
    """Where each text begins and ends: int32 `[texts]`."""
    cuts = ((0, -1), (1, np.iinfo(np.int64).max))
    first, last = (
        graph.add("Slice", tokens.starts, *(graph.constant(np.array([place])) for place in cut)) for cut in cuts
    )
    return first, last


def _first(graph: Graph, tokens: Ragged, hidden: str) -> str:
    return graph.to_float32(graph.add("Gather", hidden, _bounds(graph, tokens)[0]))


def _last(graph: Graph, tokens: Ragged, hidden: str) -> str:
    one = graph.constant(np.array(1, np.int32))
    return graph.to_float32(graph.add("Gather", hidden, graph.add("Sub", _bounds(graph, tokens)[1], one)))


def _max(graph: Graph, _tokens: Ragged, hidden: str) -> str:
    axis = graph.constant(np.array([1]))
    return graph.to_float32(graph.add("ReduceMax", _in_slots(graph, hidden), axis, keepdims=0))


def _mean(graph: Graph, tokens: Ragged, hidden: str) -> str:
    return _weighted(graph, tokens, hidden, by_place=False)


def _weighted_mean(graph: Graph, tokens: Ragged, hidden: str) -> str:
    return _weighted(graph, tokens, hidden, by_place=True)


def _weighted(graph: Graph, tokens: Ragged, hidden: str, *, by_place: bool) -> str:
    """The mean of a text's tokens, each counted once, or as often as its place says, from 1 on."""
    places, (first, last), axis = slot_places(graph, tokens), _bounds(graph, tokens), graph.constant(np.array([1]))
    lengths = graph.add("Unsqueeze", graph.add("Sub", last, first), axis)
    weights = graph.cast(graph.add("Less", places, lengths), np.float32)
    if by_place:
        numbers = graph.add("Add", graph.cast(places, np.float32), graph.constant(np.array(1, np.float32)))
        weights = graph.add("Mul", weights, numbers)
    shares = graph.add("Div", weights, graph.add("ReduceSum", weights, axis, keepdims=1))
    states = graph.to_float32(_in_slots(graph, hidden))
    return graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", shares, axis), states), axis)


_POOLINGS: Mapping[str, Pooled] = {
    "mean": _mean,
    "cls": _first,
    "last": _last,
    "max": _max,
    "weighted-mean": _weighted_mean,
}
