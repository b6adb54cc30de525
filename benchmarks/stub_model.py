"""The application with models that do not compute: each call of one takes as long as it is told to.

So a few cores can show what the way to the models carries, and how it grows. A Serve config names it as
`import_path: benchmarks.stub_model:build`; the environment variable STUB_MODEL holds `seconds` of a batch and the
numbers of `model` and `ingress` replicas, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import numpy as np
from ray import serve
from ray.serve import Application

from benchmarks import baseline
from deployments.contract import Batch, DenseVectors, Embeddings, JsonVectors
from deployments.replica import channel_server
from serve_app.config import environment
from serve_app.config.arguments import Arguments
from serve_app.ingress import Ingress

_DIMENSIONS = 384


class StubModel:
    """In place of a model."""

    async def __init__(self, seconds: float) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        """`seconds`: how long a batch takes, whatever is in it; batches do not run at the same time."""
        self._channel = await channel_server.serve(self.embed)
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._rows = np.random.default_rng(0).random((1024, _DIMENSIONS), np.float32)

    async def embed(self, batch: Batch) -> Embeddings:
        """Vectors of no meaning."""
        if self._seconds:
            async with self._turn:
                await asyncio.sleep(self._seconds)
        rows = DenseVectors(self._rows[: len(batch)])
        vectors = JsonVectors([*map(JsonVectors.text, rows)]) if batch.as_json else rows
        return Embeddings(vectors, np.full(len(batch), 9, np.int64))


def build(_: dict[str, Any]) -> Application:
    """The application."""
    wanted = json.loads(os.environ["STUB_MODEL"])
    if not environment.read().qdrant_url:
        raise RuntimeError("a store that forgets has to be there: QDRANT_URL")
    few: Any = {"num_cpus": 0.01}
    model = serve.deployment(name="model", num_replicas=wanted["model"], max_ongoing_requests=4, ray_actor_options=few)(
        StubModel
    )
    ingress = serve.deployment(
        name="Ingress", num_replicas=wanted["ingress"], max_ongoing_requests=1000, ray_actor_options=few,
        user_config={"vector_cache_bytes": 0},
    )(Ingress)  # fmt: skip
    models = {baseline.MINILM: model.bind(wanted["seconds"])}
    return ingress.bind(Arguments(), models, None, None, None)
