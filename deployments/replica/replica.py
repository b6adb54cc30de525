"""One replica of one model: takes batches, gives embeddings. The app builder makes a Serve deployment of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import validated
from deployments.contract import Batch, Embeddings, Explanation, Model, Running
from deployments.errors import InternalError, ModelUnavailable, SetupError, WrongInput
from deployments.families import load_family, token_ids
from deployments.families.protocol import Family, ReadsText
from deployments.metrics import export
from deployments.metrics.replica import CHECK, ReplicaMeasures
from deployments.networks.layouts import padded_length
from deployments.networks.settings import SessionSettings
from deployments.replica import memory
from deployments.replica.worker import Work, Worker

_TOKENIZING_THREADS = 2
_WARM_UP_SECONDS = 5.0

_QUICK = 1000
"""Characters that are tokenized sooner (0.2 ms) than another thread would have begun with it."""


class ReplicaSettings(SessionSettings):
    """A model's `user_config` in the Serve config file.

    `token_budget` bounds the tokens of a chunk, padding included. On CPUs, more than a few hundred of them gain
    nothing, cost memory, and make the searches behind them wait. `threads` 0 is as many as the cores reserved for a
    replica (`num_cpus`); one that has less than a whole core reserved uses all of the machine's.
    """

    token_budget: int = Field(default=256, gt=0)

    def session(self) -> SessionSettings:
        """The part for which the model has to be loaded anew."""
        return SessionSettings(**self.model_dump(include=set(SessionSettings.model_fields)))


class ModelReplica(Model):
    """Embeds batches with one model. Serves once `reconfigure` has loaded it."""

    def __init__(self, card: ModelCard, folder: str | None) -> None:
        """`folder` holds the model's files; BM25 has none."""
        self._card = card
        self._folder = Path(folder) if folder else None
        self._settings: ReplicaSettings | None = None
        self._family: Family | None = None
        self._refusal: SetupError | None = None
        self._tokenizers = ThreadPoolExecutor(_TOKENIZING_THREADS, thread_name_prefix="tokenizer")
        self._measures = ReplicaMeasures(card.name)
        self._worker = Worker(self._measures)
        self._stop_exporting = export.start(self._measure)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings. The model is loaded again only where they need it; meanwhile the old one serves on.

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
            self._family = await asyncio.to_thread(_load, self._card, self._folder, settings)
            self._loaded(time.perf_counter() - started, self._family.running)
        self._settings = settings
        self._worker.budget = settings.token_budget
        self._worker.grow(settings.streams)

    def _loaded(self, seconds: float, running: Running) -> None:
        provider, precision = running.provider or "own code", running.precision or "float32"
        self._measures.loaded(seconds, provider, precision, gpu_reserved=_reserved("GPU") > 0)

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


def _load(card: ModelCard, folder: Path | None, settings: ReplicaSettings) -> Family:
    """Load a model and run it a few times, so that no request pays for what the first runs set up."""
    threads = settings.threads or int(_reserved("CPU")) or os.cpu_count() or 1
    family = load_family(card, folder, settings.session().model_copy(update={"threads": threads}))
    _warm_up(family, settings)
    memory.release_free_memory()
    return family


def _reserved(resource: str) -> float:
    """How much of a resource (CPU, GPU) Ray has reserved for this process; 0 outside of Ray."""
    if not export.in_ray():
        return 0
    import ray  # noqa: PLC0415  to load a model takes no Ray

    context: Any = ray.get_runtime_context()
    return float(context.get_assigned_resources().get(resource, 0))


def _warm_up(family: Family, settings: ReplicaSettings) -> None:
    """Run a few batches on all streams at once, none after the time is over."""
    deadline = time.monotonic() + _WARM_UP_SECONDS
    with ThreadPoolExecutor(settings.streams) as streams:
        for batch in _rehearsal(family, settings.token_budget):
            prepared, positions = family.prepare(batch), np.arange(len(batch))
            list(streams.map(lambda _: family.run(prepared, positions), range(settings.streams)))  # noqa: B023  waits
            if time.monotonic() > deadline:
                break


def _rehearsal(family: Family, budget: int) -> Iterator[Batch]:
    """The samples, and as much as will ever run at once.

    OpenVINO keeps the memory of the largest chunk: so the replica needs no more under load than when it is ready.
    """
    samples = family.samples()
    yield from samples
    for batch in samples[-1:]:
        longest: Any = batch.inputs[0]
        tokens = int(family.prepare(Batch([longest], batch.direction)).tokens[0])
        yield Batch([longest] * max(1, budget // padded_length(tokens)), batch.direction)
