"""The application with GPUs that are made up: a replica sleeps for as long as one would compute.

All else is the service itself: its app builder, ingress, coalescing, and in the replica the threads, chunks and the
order of searches and updates. A Serve config names it as `import_path: benchmarks.simulation.gpu:build`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
from ray.serve import Application

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, DenseVectors, Running
from deployments.families.protocol import Positions, Prepared
from deployments.files.store import ModelStore
from deployments.networks.layouts import Padded
from deployments.replica.served import ServedReplica
from deployments.replica.settings import ReplicaSettings
from serve_app import app

GPU_TOKENS_A_SECOND = 47_000.0
"""One L4 with a model of 335 million parameters: onnxruntime, float16, texts of 450 tokens; published for bge-large."""

SHARE = 0.5
"""Of a GPU, for each replica."""

SCALE = 6.0
"""The simulation is a model 1:6 of such a cluster: speed, sizes of batches and traffic are divided; times are not."""

REPLICA_TOKENS_A_SECOND = GPU_TOKENS_A_SECOND * SHARE / SCALE
CHUNK_S = 0.003
"""For a chunk of any size: what it takes to start the kernels of 24 layers."""

LOADING_S = 3.0
"""For 670 MB of float16 weights to come from a volume to the GPU."""

_CHARACTERS_A_TOKEN = 4


def tokens(text: str) -> int:
    """How many tokens a text has, about."""
    return len(text) // _CHARACTERS_A_TOKEN + 2


class SleepingFamily:
    """A dense model that takes a GPU's time and gives vectors of no meaning."""

    running = Running(None, None)

    def __init__(self, card: ModelCard) -> None:
        """The model that it stands for."""
        self._card = card
        self._row = np.ones(card.dimensions or 1, np.float32)

    def samples(self) -> Sequence[Batch]:
        """One, for the health checks."""
        return [Batch(["a"], "search")]

    def prepare(self, batch: Batch) -> Prepared:
        """Count tokens by the texts' lengths."""
        window = self._card.context_window or 512
        counts = [min(window, tokens(str(text))) for text in batch.inputs]
        return Prepared(batch, batch.inputs, np.array(counts, np.int64), layout=Padded(window))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        """Sleep for as long as the chunk takes, padding included."""
        computed = prepared.layout.computed(prepared.tokens[positions].tolist())
        time.sleep(CHUNK_S + computed / REPLICA_TOKENS_A_SECOND)
        return DenseVectors(np.tile(self._row, (len(positions), 1)))


class SimulatedReplica(ServedReplica):
    """A replica on a GPU that is made up."""

    async def _adopt(self, settings: ReplicaSettings) -> None:
        if self._family is None:
            await asyncio.sleep(LOADING_S)
            self._family = SleepingFamily(self._card)
        self._settings = settings
        self._worker.reconfigure(settings.streams, settings.token_budget)


def build(arguments: dict[str, Any]) -> Application:
    """The application, without the models' files."""
    with (
        mock.patch.object(app, "MODEL", f"{__name__}.SimulatedReplica"),
        mock.patch.object(ModelStore, "folder", return_value=None),
    ):
        return app.build(arguments)
