"""A batch on its way through a replica."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from deployments.contract import Embeddings, JsonVectors, Vector
from deployments.families.chunks import together
from deployments.families.protocol import Family, Prepared


class Work:
    """A batch that waits for its vectors; `operation` says what for, in metrics."""

    def __init__(self, family: Family, prepared: Prepared, operation: str = "") -> None:
        self.family = family
        self.prepared = prepared
        self.vectors: list[Vector | bytes | None] = [None] * len(prepared.items)
        self.operation = operation
        self._as_json = prepared.batch.as_json and family.running.provider != "cuda"  # whose process has to feed it
        self.missing = len(prepared.items)
        self.ready_at: float | None = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()

    @property
    def kind(self) -> tuple[int, str, str, str, str, str]:
        """Work of one kind may run together."""
        batch = self.prepared.batch
        return id(self.family), batch.direction, batch.reads, repr(batch.kinds), repr(batch.options), self.operation

    def embeddings(self) -> Embeddings:
        """The result, once it is done."""
        vectors = [vector for vector in self.vectors if vector is not None]
        whole = JsonVectors(cast("list[bytes]", vectors)) if self._as_json else together(cast("list[Vector]", vectors))
        return Embeddings(whole, self.prepared.tokens, self.prepared.truncated)

    def as_wanted(self, vector: Vector) -> Vector | bytes:
        """A vector as the batch wants it: written as JSON, or as it is."""
        return JsonVectors.text(vector) if self._as_json else vector

    def take(self, position: int, vector: Vector | bytes) -> None:
        """Keep one result; with the last one the work is done."""
        self.vectors[position] = vector
        self.missing -= 1
        if not self.missing:
            self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Wake the one who waits; called by the worker's thread."""
        self._loop.call_soon_threadsafe(self._wake, error)

    def _wake(self, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
