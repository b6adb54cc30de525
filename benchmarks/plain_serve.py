"""What one gets from Ray Serve's documentation: the default proxy, one deployment, `@serve.batch`, the same model.

Run by `query_latency` in a process of its own: it takes the port as its argument,
says `ready`, and ends with its input.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from benchmarks import baseline
from deployments.contract import Batch, DenseVectors


@serve.deployment(max_ongoing_requests=1000)
class Embedder:
    """Takes `{"text": ...}`, gives the vector as JSON."""

    def __init__(self) -> None:
        self._model = baseline.load()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.005)
    async def embed(self, texts: list[str]) -> list[list[float]]:
        """The vectors of all texts that came together, padded to the longest."""
        prepared = self._model.prepare(Batch(texts, "search"))
        vectors = self._model.run(prepared, np.arange(len(texts)))
        assert isinstance(vectors, DenseVectors)
        rows: list[list[float]] = vectors.rows.tolist()
        return rows

    async def __call__(self, request: Request) -> Any:
        """Answer one request."""
        return await self.embed((await request.json())["text"])  # type: ignore[call-arg]


def main(port: int) -> None:
    """Serve until the input ends."""
    ray.init(address="local", logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Embedder.bind(), name="plain")
    print("ready", flush=True)
    sys.stdin.read()
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
