"""Loading a model for a replica: on the cores that it has, and warmed up."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from deployments.catalogue.card import ModelCard
from deployments.contract import Batch
from deployments.families.loading import load_family
from deployments.families.protocol import Family
from deployments.metrics import export
from deployments.networks.alone import alone
from deployments.networks.layouts import padded_length
from deployments.replica import memory
from deployments.replica.settings import ReplicaSettings

_WARM_UP_SECONDS = 5.0


def load(card: ModelCard, folder: Path | None, settings: ReplicaSettings) -> Family:
    """Load a model and run it a few times, so that no request pays for what the first runs set up."""
    threads = settings.threads or int(reserved("CPU")) or os.cpu_count() or 1
    family = load_family(card, folder, settings.session().model_copy(update={"threads": threads}))
    _warm_up(family, settings)
    memory.release_free_memory()
    return family


def reserved(resource: str) -> float:
    """How much of a resource (CPU, GPU) Ray has reserved for this process; 0 outside of Ray."""
    if not export.in_ray():
        return 0
    import ray  # noqa: PLC0415  to load a model takes no Ray

    context: Any = ray.get_runtime_context()
    return float(context.get_assigned_resources().get(resource, 0))


def _warm_up(family: Family, settings: ReplicaSettings) -> None:
    """Run a few batches on all streams at once, and alone on all threads; none after the time is over."""
    deadline = time.monotonic() + _WARM_UP_SECONDS
    with ThreadPoolExecutor(settings.streams) as streams:
        for batch in _rehearsal(family, settings.token_budget):
            prepared, positions = family.prepare(batch), np.arange(len(batch))
            list(streams.map(lambda _: family.run(prepared, positions), range(settings.streams)))  # noqa: B023  waits
            if settings.streams > 1:
                with alone():
                    family.run(prepared, positions)
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
