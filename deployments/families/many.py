"""Text models whose network gives several kinds of vectors at once, as BGE-M3 does (Chen et al. 2024).

The hidden states are computed once; a pooling makes the dense vector of them, and a linear layer each the others. As in
FlagEmbedding: the weight of a token of the vocabulary is the highest that it has in a text, if that is above zero, and
special tokens have none; of a multivector, the first token has no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from typing_extensions import override

from deployments.architectures import torch_files
from deployments.catalogue.card import Head, ModelCard
from deployments.contract import (
    DenseVectors,
    Floats,
    JoinedVectors,
    MultiVectors,
    SparseVector,
    SparseVectors,
    Vectors,
)
from deployments.errors import ModelError, ModelFilesError
from deployments.families.chunks import pack
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import Finish, TextModel
from deployments.graphs import heads, ragged
from deployments.kinds import VectorKind
from deployments.networks.base import Network, offsets
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.session import Outputs
from deployments.networks.settings import SessionSettings

Ids = Sequence[Sequence[int]]
Made = DenseVectors | SparseVectors | MultiVectors
Make = Callable[[MultiVectors, Ids], Made]
"""One kind of vectors of hidden states, and of the token ids of their texts."""


def load(card: ModelCard, folder: Path, settings: SessionSettings, finish: Finish) -> ManyVectorsModel:
    """Load a model with heads; `finish` makes its dense vectors."""
    graphs = Graphs(
        heads.positions, heads.encoder, RaggedGraph(ragged.hidden_states, (), _hidden_states, "token"), heads.float16
    )
    return ManyVectorsModel(card, folder, open_network(card, folder, settings, graphs), finish)


class ManyVectorsModel(TextModel):
    """One run of the network for all kinds of vectors that a batch asks for."""

    def __init__(self, card: ModelCard, folder: Path, network: Network, finish: Finish) -> None:
        super().__init__(card, folder, network, finish)
        special = self.tokenizer.special_ids()
        makers = [_MAKERS[head.family](_layer(folder, head), special) for head in card.heads]
        self._makers: Mapping[VectorKind, Make] = {
            "dense": lambda hidden, _: cast("DenseVectors", finish(hidden)),
            **{maker.kind: maker.make for maker in makers},
        }

    @override
    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        items = [prepared.items[position] for position in positions]
        hidden = self._network(items, np.array([len(item) for item in items], np.int32))
        if not isinstance(hidden, MultiVectors):
            raise ModelError("the network gives a row a text; name the output with one a token: output")
        made = [self._makers[kind](hidden, items) for kind in prepared.batch.kinds or ("dense",)]
        return JoinedVectors(tuple(made)) if prepared.batch.kinds else made[0]


class _Maker(NamedTuple):
    kind: VectorKind
    make: Make


class _Layer(NamedTuple):
    """A linear layer: `weight` float32 `[out, in]`, `bias` float32 `[out]`."""

    weight: Floats
    bias: Floats

    def __call__(self, rows: Floats) -> Floats:
        found: Floats = rows @ self.weight.T + self.bias
        return found


def _layer(folder: Path, head: Head) -> _Layer:
    path = folder / head.weights
    try:
        tensors = load_file(path) if path.suffix == ".safetensors" else torch_files.read(path)
    except (OSError, SafetensorError) as error:
        raise ModelFilesError(f"{path}: {error}") from error
    if tensors.keys() != {"weight", "bias"}:
        raise ModelError(f"{path}: has {', '.join(sorted(tensors)) or 'nothing'} in place of 'weight' and 'bias'")
    return _Layer(*(tensors[name].astype(np.float32) for name in ("weight", "bias")))


def _sparse(layer: _Layer, special: Sequence[int]) -> _Maker:
    def make(hidden: MultiVectors, texts: Ids) -> SparseVectors:
        weights = layer(hidden.rows)[:, 0]
        return pack([_highest(ids, weights[start:][: len(ids)], special) for ids, start in _places(texts)])

    return _Maker("sparse", make)


def _highest(ids: Sequence[int], weights: Floats, special: Sequence[int]) -> SparseVector:
    tokens, places = np.unique(np.array(ids, np.uint32), return_inverse=True)
    highest = np.zeros(len(tokens), np.float32)
    np.maximum.at(highest, places, weights)
    kept = (highest > 0) & ~np.isin(tokens, special)
    return SparseVector(tokens[kept], highest[kept])


def _late_interaction(layer: _Layer, _special: Sequence[int]) -> _Maker:
    def make(hidden: MultiVectors, texts: Ids) -> MultiVectors:
        is_first = np.zeros(len(hidden.rows), np.bool_)
        is_first[[start for ids, start in _places(texts) if len(ids) > 1]] = True  # a text has a vector at least
        lengths = [max(1, len(ids) - 1) for ids in texts]
        return MultiVectors(normalize(layer(hidden.rows[~is_first])), offsets(lengths))

    return _Maker("multivector", make)


def _places(texts: Ids) -> Sequence[tuple[Sequence[int], int]]:
    """Each text, and where it begins."""
    return list(zip(texts, offsets([len(ids) for ids in texts]).tolist(), strict=False))


_MAKERS: Mapping[str, Callable[[_Layer, Sequence[int]], _Maker]] = {
    "sparse": _sparse,
    "late-interaction": _late_interaction,
}
"""By the family of a head."""


def _hidden_states(outputs: Outputs, tokens: Sequence[int]) -> MultiVectors:
    return MultiVectors(outputs[0], offsets(tokens))
