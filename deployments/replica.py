"""One replica of one model: takes batches, gives embeddings. The app builder makes a Serve deployment of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from deployments.catalogue import ModelCard, validated
from deployments.contract import Batch, Embeddings, Vectors
from deployments.errors import InternalError, ModelUnavailable
from deployments.families import load_family
from deployments.families.chunks import cut, join
from deployments.families.protocol import Family, Positions, Prepared
from deployments.session import SessionSettings
from deployments.worker import Worker

_TOKENIZING_THREADS = 2
_WARM_UP_SECONDS = 2.0


class ReplicaSettings(SessionSettings):
    """A model's `user_config` in the Serve config file.

    `token_budget` bounds (padded length x rows) of what runs at once. On CPUs, more than about a thousand tokens gain
    nothing, cost memory, and make the searches behind them wait.
    """

    token_budget: int = Field(default=1024, gt=0)

    def session(self) -> SessionSettings:
        """The part for which the model has to be loaded anew."""
        return SessionSettings(**self.model_dump(include=set(SessionSettings.model_fields)))


class ModelReplica:
    """Embeds batches with one model. Serves once `reconfigure` has loaded it."""

    def __init__(self, card: ModelCard, folder: str | None) -> None:
        """`folder` holds the model's files; BM25 has none."""
        self._card = card
        self._folder = Path(folder) if folder else None
        self._settings: ReplicaSettings | None = None
        self._family: Family | None = None
        self._tokenizers = ThreadPoolExecutor(_TOKENIZING_THREADS, thread_name_prefix="tokenizer")
        self._worker = Worker()

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings. The model is loaded again only where they need it; meanwhile the old one serves on.

        Raises:
            ConfigError: an unknown key or a bad value.
            ModelError: the model cannot be run with these settings.
            ModelFilesError: its files are missing or damaged.
        """
        settings = validated(ReplicaSettings, user_config, f"user_config of '{self._card.deployment}'")
        if self._settings is None or settings.session() != self._settings.session():
            self._family = await asyncio.to_thread(_load, self._card, self._folder, settings.session())
        self._settings = settings

    async def embed(self, batch: Batch) -> Embeddings:
        """The embeddings of a batch. When the caller gives up, the chunks that have not started are dropped.

        Raises:
            ModelUnavailable: the replica has no model yet, or is being stopped.
            InternalError: the model failed.
        """
        if self._family is None or self._settings is None:
            raise ModelUnavailable(f"'{self._card.name}' is being loaded or stopped")
        family, budget = self._family, self._settings.token_budget
        loop = asyncio.get_running_loop()
        prepared, chunks = await loop.run_in_executor(self._tokenizers, _prepare, family, batch, budget)
        return join(prepared, chunks, await self._run(family, prepared, chunks))

    async def _run(self, family: Family, prepared: Prepared, chunks: Sequence[Positions]) -> list[Vectors]:
        direction = prepared.batch.direction
        futures = [self._worker.submit(partial(family.run, prepared, chunk), direction) for chunk in chunks]
        try:
            return await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        finally:
            for future in futures:
                future.cancel()

    def check_health(self) -> None:
        """Raise if the replica can serve no more; Serve then replaces it.

        Raises:
            InternalError: the thread that runs the model has ended.
        """
        if not self._worker.alive:
            raise InternalError("the thread that runs the model has ended")

    def close(self) -> None:
        """End all threads; may be called again."""
        self._family = None
        self._worker.close()
        self._tokenizers.shutdown(cancel_futures=True)

    def __del__(self) -> None:
        """Serve calls this when it stops a replica."""
        self.close()


def _prepare(family: Family, batch: Batch, budget: int) -> tuple[Prepared, list[Positions]]:
    prepared = family.prepare(batch)
    return prepared, cut(prepared.tokens, budget)


def _load(card: ModelCard, folder: Path | None, settings: SessionSettings) -> Family:
    """Load a model and run it a few times, so that no request pays for what the first runs set up."""
    family = load_family(card, folder, settings)
    deadline = time.monotonic() + _WARM_UP_SECONDS
    for batch in family.samples():
        prepared = family.prepare(batch)
        family.run(prepared, np.arange(len(batch)))
        if time.monotonic() > deadline:
            break
    return family
