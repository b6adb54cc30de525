"""Dense text models: an encoder, a pooling, and what sentence-transformers puts behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from deployments.architectures import projection
from deployments.catalogue.card import ModelCard
from deployments.contract import DenseVectors, Direction, Floats, MultiVectors
from deployments.families import many
from deployments.families.pooling import POOLINGS, normalize
from deployments.families.text import TextModel
from deployments.graphs import heads, ragged
from deployments.networks.base import Output
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.padded import PaddedNetwork, with_task
from deployments.networks.session import Outputs
from deployments.networks.settings import SessionSettings


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> TextModel:
    """Load a dense text model."""
    pooled = POOLINGS[str(card.pooling)]
    projections = [projection.read(folder / name) for name in card.projections]
    ends_with_vectors = not projections  # of ragged texts: pooled, and normalized if they shall be

    def finish(output: Output) -> DenseVectors:
        if isinstance(output, DenseVectors):
            return output
        rows = pooled(output) if isinstance(output, MultiVectors) else cast("Floats", output)  # a ready file may pool
        for project in projections:
            rows = project(rows)
        return DenseVectors(normalize(rows) if card.normalize else rows)

    if card.heads:
        return many.load(card, folder, settings, finish)

    def read(outputs: Outputs, _tokens: Sequence[int]) -> Output:
        return DenseVectors(outputs[0]) if ends_with_vectors else outputs[0]

    graph = RaggedGraph(ragged.encoder, (card.pooling, card.normalize and ends_with_vectors), read, "text")
    network = open_network(card, folder, settings, Graphs(heads.positions, heads.encoder, graph, heads.float16))
    if card.task_ids is None:
        return TextModel(card, folder, network, finish)
    ready = cast("PaddedNetwork", network)  # only such a file reads the number of a task
    tasks: dict[Direction, int] = {"search": card.task_ids.query, "update": card.task_ids.passage}
    return TextModel(
        card, folder, ready, finish, {way: with_task(ready, card.output, task) for way, task in tasks.items()}
    )
