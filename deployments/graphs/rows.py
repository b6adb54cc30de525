"""What a row of a graph's input holds, and which of its tokens attend to which.

A padded graph reads `input_ids` int32 `[batch, tokens]`, filled up on the right, and `lengths` int32 `[batch]`: how
many of each row's tokens are attended to. The rows of a packed one hold several texts: `input_ids`, `positions` in each
text, `texts` and `attended`, all int32 `[batch, tokens]`; a token attends to those whose `attended` is its own `texts`.
A model of pairs that tells their parts apart reads `segments` int32 `[batch, tokens]` too: 0 in a query, 1 behind it.

A ragged graph has no rows. It reads `input_ids` and `positions`, int32 `[tokens]`, of all texts one behind the other;
`starts` int32 `[texts + 1]`, where each text begins and the last one ends; and `token_offset`, int32 `[texts, slots]`,
as onnxruntime's operators for packed tokens define it: of a row of slots for each text, first those with a token, then
the empty ones. Some read more: `slots` int32 `[texts, slots]`, which token stands in each slot, in an empty one the
text's first; `attended` int32 `[texts]`, how many of a text's first tokens are attended to; `segments` `[tokens]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from deployments.architectures.transformer import Alibi, Buckets, Sight
from deployments.contract import Floats
from deployments.graphs.builder import Graph

Rows = Literal["padded", "packed", "ragged"]
"""What a row holds: one text, filled up, or several; ragged texts have no rows."""

SLOT_STEP = 8
"""Slots of ragged texts come in multiples of it: so onnxruntime's memory-efficient attention wants a bias."""

_HIDDEN = -30000.0
"""Added to the score of a token that is not attended to: nothing is left of it, and float16 can hold it."""

_ALONE = _HIDDEN / 2
"""Added to a token's score of itself, if it is not attended to: what has nothing attended within its window, such as a
mask far behind a query, sees itself and not what else stands in the row."""


class Tokens(NamedTuple):
    """What is known of the tokens of a run.

    `positions` int32 `[batch or 1, tokens]`; `attends` bool `[batch, 1 or tokens, tokens]`, whether the first token
    attends to the second; `mask` says the same to onnxruntime's `Attention`. `segments` is empty if there is one. Those
    of `ragged` texts, `[tokens]`, have neither `attends` nor `mask`.
    """

    ids: str
    positions: str
    attends: str = ""
    mask: str = ""
    segments: str = ""
    ragged: Ragged | None = None


class Ragged(NamedTuple):
    """The inputs that say where the texts stand; `attended` is empty if all tokens are attended to."""

    offset: str
    starts: str
    attended: str


def read_rows(graph: Graph, rows: Rows, *, masked: bool = False) -> Tokens:
    """The inputs of a graph. In a ragged one all tokens of a text are attended to, unless it is `masked`."""
    return _ragged(graph, masked=masked) if rows == "ragged" else _READ[rows](graph)


def read_segments(graph: Graph, tokens: Tokens) -> str:
    """The input that tells the parts of pairs apart."""
    return graph.input("segments", np.int32, ["tokens"] if tokens.ragged else ["batch", "tokens"])


def _padded(graph: Graph) -> Tokens:
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    lengths = graph.input("lengths", np.int32, ["batch"])
    positions = _places(graph, ids)
    attends = graph.add("Less", positions, _with_axes(graph, lengths, 1, 2))
    return Tokens(ids, _with_axes(graph, positions, 0), attends, lengths)


def _places(graph: Graph, ids: str) -> str:
    """Where the tokens of a row stand in it: int32 `[tokens]`; `ids` is anything with rows of that length."""
    count = graph.add("Squeeze", graph.cast(graph.add("Shape", ids, start=1, end=2), np.int32))
    return graph.add("Range", _integer(graph, 0), count, _integer(graph, 1))


def _packed(graph: Graph) -> Tokens:
    ids, positions, texts, attended = (
        graph.input(name, np.int32, ["batch", "tokens"]) for name in ("input_ids", "positions", "texts", "attended")
    )
    attends = graph.add("Equal", _with_axes(graph, texts, 2), _with_axes(graph, attended, 1))
    return Tokens(ids, positions, attends, graph.cast(attends, np.int32))


_READ = {"padded": _padded, "packed": _packed}


def _ragged(graph: Graph, *, masked: bool) -> Tokens:
    ids, positions = (graph.input(name, np.int32, ["tokens"]) for name in ("input_ids", "positions"))
    starts = graph.input("starts", np.int32, ["bounds"])
    offset = graph.input("token_offset", np.int32, ["texts", "slots"])
    attended = graph.input("attended", np.int32, ["texts"]) if masked else ""
    return Tokens(ids, positions, ragged=Ragged(offset, starts, attended))


def slot_rows(graph: Graph, ragged: Ragged) -> Tokens:
    """The slots of ragged texts as the rows of a bias; they differ only in which tokens are attended to."""
    places = slot_places(graph, ragged)
    if ragged.attended:
        attends = graph.add("Less", places, _with_axes(graph, ragged.attended, 1, 2))
    else:
        attends = graph.constant(np.ones((1, 1, 1), np.bool_))
    return Tokens(ragged.offset, places, attends)


def slot_places(graph: Graph, ragged: Ragged) -> str:
    """Where each slot of a row stands in it: int32 `[1, slots]`."""
    return graph.once("places", lambda: _with_axes(graph, _places(graph, ragged.offset), 0))


def bias(graph: Graph, tokens: Tokens, sight: Sight) -> str:
    """What is added to the scores: `[batch, heads or 1, tokens or 1, tokens]`; made once for all layers."""
    return graph.once(("bias", sight), partial(_bias, graph, tokens, sight))


def _bias(graph: Graph, tokens: Tokens, sight: Sight) -> str:
    attends = tokens.attends
    if sight.causal:
        attends = graph.add("And", attends, graph.add("LessOrEqual", _distance(graph, tokens), _integer(graph, 0)))
    if sight.window is not None:
        near = graph.add("LessOrEqual", graph.add("Abs", _distance(graph, tokens)), _integer(graph, sight.window))
        attends = graph.add("And", attends, near)
    seen, hidden = (graph.weight(np.array(value, np.float32)) for value in (0.0, _HIDDEN))
    if sight.window is not None:
        places = _places(graph, tokens.ids)
        itself = graph.add("Equal", _with_axes(graph, places, 0), _with_axes(graph, places, 1))
        hidden = graph.add("Where", itself, graph.weight(np.array(_ALONE, np.float32)), hidden)
    mask = _with_axes(graph, graph.add("Where", attends, seen, hidden), 1)
    if sight.bias is None:
        return mask
    by_distance = _alibi if isinstance(sight.bias, Alibi) else _buckets
    return graph.add("Add", by_distance(graph, tokens, sight.bias), mask)  # type: ignore[arg-type]


def _distance(graph: Graph, tokens: Tokens) -> str:
    """How far behind the first token the second one stands: int32 `[batch or 1, tokens, tokens]`."""

    def make() -> str:
        return graph.add("Sub", _with_axes(graph, tokens.positions, 1), _with_axes(graph, tokens.positions, 2))

    return graph.once("distance", make)


def _alibi(graph: Graph, tokens: Tokens, alibi: Alibi) -> str:
    """The farther, the less is seen, on both sides alike."""
    away = graph.to_weights(graph.cast(graph.add("Abs", _distance(graph, tokens)), np.float32))
    slopes = graph.weight(-np.array(_slopes(alibi.heads), np.float32)[:, None, None])
    return graph.add("Mul", _with_axes(graph, away, 1), slopes)


def _slopes(heads: int) -> Sequence[float]:
    """The slopes of Press et al. 2021; for a number of heads that is no power of two, every other one of the double."""
    power = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (number + 1) / power) for number in range(power)]
    return slopes if power == heads else [*slopes, *_slopes(2 * power)[::2][: heads - power]]


def _buckets(graph: Graph, tokens: Tokens, buckets: Buckets) -> str:
    """A bias that was learnt for each distance; looked up in a table of all distances."""
    table = graph.checkpoint[f"{buckets.table}.weight"]
    far = -(-buckets.positions // SLOT_STEP) * SLOT_STEP - 1  # the farthest of a ragged graph's slots
    by_distance: Floats = table[bucket_of(np.arange(-far, far + 1), len(table), buckets.farthest)].T
    row = graph.add("Add", _distance(graph, tokens), _integer(graph, far))
    values = graph.add("Gather", graph.weight(by_distance), row, axis=1)  # [heads, batch, tokens, tokens]
    return graph.add("Transpose", values, perm=[1, 0, 2, 3])


def bucket_of(distances: npt.NDArray[np.int64], count: int, farthest: int) -> npt.NDArray[np.int64]:
    """T5's buckets (Raffel et al. 2020): half of them for each side, of those half for the nearest, then wider ones."""
    half = count // 2
    exact = half // 2
    away = np.abs(distances)
    wide = np.log(np.maximum(away, 1).astype(np.float32) / exact) / np.log(farthest / exact) * (half - exact)
    bucket = np.where(away < exact, away, np.minimum(exact + wide.astype(np.int64), half - 1))
    found: npt.NDArray[np.int64] = bucket + np.where(distances > 0, half, 0)
    return found


def _integer(graph: Graph, value: int) -> str:
    return graph.constant(np.array(value, np.int32))


def _with_axes(graph: Graph, value: str, *axes: int) -> str:
    return graph.add("Unsqueeze", value, graph.constant(np.array(axes)))
