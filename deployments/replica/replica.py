"""One replica of one model: takes batches, gives embeddings. The app builder makes a Serve deployment of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import validated
from deployments.contract import Batch, Embeddings, Explanation, Model, Running
from deployments.errors import InternalError, ModelUnavailable, SetupError, WrongInput
from deployments.families import token_ids
from deployments.families.protocol import Family, ReadsText
from deployments.metrics import export
from deployments.metrics.replica import CHECK, ReplicaMeasures
from deployments.replica import loading
from deployments.replica.settings import ReplicaSettings
from deployments.replica.work import Work
from deployments.replica.worker import Worker

_QUICK = 1000
"""Characters that are tokenized sooner (0.2 ms) than another thread would have begun with it."""


class ModelReplica(Model):
    """Embeds batches with one model. Serves once `reconfigure` has loaded it."""

    def __init__(self, card: ModelCard, folder: str | None) -> None:
        """`folder` holds the model's files; BM25 has none."""
        self._card = card
        self._folder = Path(folder) if folder else None
        self._settings: ReplicaSettings | None = None
        self._family: Family | None = None
        self._refusal: SetupError | None = None
        self._tokenizers = _tokenizers(1)
        self._measures = ReplicaMeasures(card.name)
        self._worker = Worker(self._measures)
        self._stop_exporting = export.start(self._measure)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings. The model is loaded again only if they need it; meanwhile the old one serves on.

        An error here ends a replica that starts: Serve tries a few times, then gives the deployment up with the
        error's message. One that already serves also fails its health check with it.

        Raises:
            ConfigError: an unknown key or a bad value.
            ModelError: the model cannot be run with these settings, such as on a GPU that is not there.
            ModelFilesError: its files are missing or damaged.
        """
        try:
            await self._adopt(validated(ReplicaSettings, user_config, f"user_config of '{self._card.deployment}'"))
        except SetupError as error:
            self._refusal = error
            raise
        self._refusal = None

    async def _adopt(self, settings: ReplicaSettings) -> None:
        if self._settings is None or settings.session() != self._settings.session():
            started = time.perf_counter()
            self._family = await asyncio.to_thread(loading.load, self._card, self._folder, settings)
            self._loaded(time.perf_counter() - started, self._family.running)
        if self._settings is None or settings.tokenizing_threads != self._settings.tokenizing_threads:
            before, self._tokenizers = self._tokenizers, _tokenizers(settings.tokenizing_threads)
            before.shutdown(wait=False)  # which ends what has begun
        self._settings = settings
        self._worker.reconfigure(settings.streams, settings.token_budget)

    def _loaded(self, seconds: float, running: Running) -> None:
        provider, precision = running.provider or "own code", running.precision or "float32"
        self._measures.loaded(seconds, provider, precision, gpu_reserved=loading.reserved("GPU") > 0)

    def _measure(self) -> None:
        from deployments.replica import gpu  # noqa: PLC0415  of Ray

        on_gpu = self._family is not None and self._family.running.provider == "cuda"
        self._measures.gauges(self._worker.waiting_tokens, gpu.memory() if on_gpu else None)

    @override
    async def embed(self, batch: Batch) -> Embeddings:
        """The embeddings of a batch. When the caller gives up, the chunks that have not started are dropped.

        Raises:
            ModelUnavailable: the replica has no model yet, or is being stopped.
            InternalError: the model failed.
        """
        return await self._embed(batch, batch.direction)

    async def _embed(self, batch: Batch, operation: str) -> Embeddings:
        if self._family is None:
            raise ModelUnavailable(f"'{self._card.name}' is being loaded or stopped")
        family, started = self._family, time.perf_counter()
        if sum(map(len, batch.inputs)) <= _QUICK:
            prepared = family.prepare(batch)
        else:
            loop = asyncio.get_running_loop()
            prepared = await loop.run_in_executor(self._tokenizers, family.prepare, batch)
        self._measures.tokenized(time.perf_counter() - started, prepared.tokens.tolist(), operation)
        return await self._worker.run(Work(family, prepared, operation))

    @override
    async def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """How the model reads each text, and what these indices of its sparse vector stand for.

        Raises:
            WrongInput: the model reads no texts.
        """
        if not isinstance(self._family, ReadsText):
            raise WrongInput(f"{self._card.name} has no tokens to show")
        return await asyncio.to_thread(self._family.explain, batch, indices)

    @override
    async def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of token ids stand for; see `token_ids.texts`."""
        if self._family is None:
            raise ModelUnavailable(f"'{self._card.name}' is being loaded or stopped")
        window = self._card.context_window or 0
        return await asyncio.to_thread(token_ids.texts, self._family, ids, self._card.name, window)

    @override
    async def running(self) -> Running:
        """How the model is run here."""
        return self._family.running if self._family else Running(None, None)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `deployments.autoscaling` needs to know of this replica; Serve asks every few seconds."""
        streams = self._settings.streams if self._settings else 1
        return self._worker.load.read(self._worker.waiting_tokens, streams)

    async def check_health(self) -> None:
        """Embed the smallest of the samples, to see that the model still runs; Serve replaces a replica that raises.

        A GPU may fail for good while its process lives on.

        Raises:
            SetupError: the model could not be loaded with the settings that were asked for last.
            InternalError: the model fails, or the thread that runs it has ended.
        """
        if self._refusal is not None:
            raise self._refusal
        if not self._worker.alive:
            raise InternalError("the thread that runs the model has ended")
        for batch in self._family.samples()[:1] if self._family else ():
            await self._embed(batch, CHECK)

    def close(self) -> None:
        """End all threads; may be called again."""
        self._stop_exporting()
        self._family = None
        self._worker.close()
        self._tokenizers.shutdown(cancel_futures=True)

    def __del__(self) -> None:
        """Serve calls this when it stops a replica."""
        self.close()


def _tokenizers(threads: int) -> ThreadPoolExecutor:
    """Threads that tokenize, each a batch at a time.

    The library would tokenize each batch on all cores of the machine, whatever is reserved for this process.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return ThreadPoolExecutor(threads, thread_name_prefix="tokenizer")
