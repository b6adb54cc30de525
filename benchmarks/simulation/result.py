"""What a day came to: its course second by second, and whether the targets were met."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.simulation import config, gpu
from benchmarks.simulation.day import Day, Kind
from benchmarks.simulation.traffic import Log, Sent

OK = 200
MODELS = (config.ALWAYS_THERE, config.FROM_ZERO)
_WINDOW_S = 5.0
_MOST_P99, _MOST_GPU_TIME = 3.0, 1.4


@dataclass(frozen=True)
class Sample:
    """What there was at a moment, in seconds into the day; of `replicas`, which hold resources, some are `serving`."""

    at: float
    nodes: Mapping[str, int]
    replicas: Mapping[str, int]
    serving: Mapping[str, int]


@dataclass(frozen=True)
class Probe:
    """A single request outside of the day's traffic."""

    status: int | str
    seconds: float
    retry_after: str | None


@dataclass(frozen=True)
class Target:
    """What was to be reached, and what was; `met` is None where nothing was to be reached."""

    name: str
    wanted: str
    reached: str
    met: bool | None


@dataclass(frozen=True)
class Result:
    """A day's course."""

    day: Day
    kinds: Sequence[Kind]
    tokens: Mapping[str, float]
    """Of one request, by kind."""
    log: Log
    samples: Sequence[Sample]
    too_large: Probe

    def of(self, kind: str | None = None, phase: str | None = None, part: tuple[float, float] = (0, 1)) -> list[Sent]:
        """Requests by kind and by when they came: in a part of a phase, such as its second half (0.5, 1)."""
        start, end = self.day.bounds(phase) if phase else (0.0, self.day.seconds)
        first, last = start + part[0] * (end - start), start + part[1] * (end - start)
        return [one for one in self.log.sent if (kind in {None, one.kind}) and first <= one.at < last]

    def load(self, model: str, at: float) -> float:
        """Tokens a second that were offered to a model at a moment."""
        return sum(self.day.rate(kind, at) * self.tokens[kind.name] for kind in self.kinds if kind.model == model)

    def ideal(self, at: float) -> float:
        """GPUs that could just compute the load of a moment if every replica were busy all the time.

        ceil(tokens a second / tokens a second of a replica) replicas of each model, and never fewer than its minimum.
        """
        least = {config.ALWAYS_THERE: 1, config.FROM_ZERO: 0}
        busy = {model: math.ceil(self.load(model, at) / gpu.REPLICA_TOKENS_A_SECOND) for model in MODELS}
        return gpu.SHARE * sum(max(least[model], busy[model]) for model in MODELS)

    def gpu_seconds(self) -> tuple[float, float]:
        """GPU time that replicas held while they started, served and stopped; and the ideal."""
        held = ideal = 0.0
        for sample, seconds in self._spans():
            held += gpu.SHARE * sum(sample.replicas.get(config.name_of(model), 0) for model in MODELS) * seconds
            ideal += self.ideal(sample.at) * seconds
        return held, ideal

    def node_gpu_seconds(self) -> float:
        """GPU time that was there to be paid: each node with GPUs has one, whether or not replicas hold all of it."""
        return sum(sample.nodes.get("gpu", 0) * seconds for sample, seconds in self._spans())

    def _spans(self) -> Iterable[tuple[Sample, float]]:
        """The day's samples, each with the seconds until the next."""
        inside = [sample for sample in self.samples if 0 <= sample.at < self.day.seconds]
        return [(sample, following.at - sample.at) for sample, following in itertools.pairwise(inside)]


def read_samples(file: Path, began: float) -> list[Sample]:
    """The samples that the cluster wrote; `began` is when the day did."""
    return [_sample(json.loads(line), began) for line in file.read_text().splitlines()]


def _sample(line: Any, began: float) -> Sample:
    states: dict[str, dict[str, int]] = line["replicas"]
    held = {name: sum(counts.values()) for name, counts in states.items()}
    serving = {name: counts.get("RUNNING", 0) for name, counts in states.items()}
    return Sample(line["time"] - began, line["nodes"], held, serving)


def percentile(requests: Iterable[Sent], percent: float) -> float:
    """The time that so many percent took at most, in seconds; of those that were answered well."""
    seconds = [one.seconds for one in requests if one.status == OK]
    return float(np.percentile(seconds, percent)) if seconds else math.nan


def windows(result: Result, kind: str) -> tuple[list[float], list[float], list[float]]:
    """Moments, and p50 and p99 in seconds of the requests that came in the five seconds from then on."""
    at = np.arange(0, result.day.seconds, _WINDOW_S).tolist()
    cells: dict[int, list[Sent]] = {}
    for one in result.of(kind):
        cells.setdefault(int(one.at // _WINDOW_S), []).append(one)
    found = [cells.get(number, []) for number in range(len(at))]
    return at, [percentile(cell, 50) for cell in found], [percentile(cell, 99) for cell in found]


def failures(requests: Iterable[Sent]) -> Counter[int | str]:
    """Requests that failed, by status."""
    return Counter(one.status for one in requests if one.status != OK)


def targets(result: Result) -> list[Target]:
    """All targets, met or not, and what the nodes cost."""
    gpu_time = [_gpu_time(result), _node_time(result)]
    return [*_no_failures(result), *_burst(result), *gpu_time, _night(result), _first(result), _never(result)]


def _no_failures(result: Result) -> Iterable[Target]:
    for phase in ("ramp", "plateau", "burst", "evening"):
        requests = result.of(phase=phase)
        failed = failures(requests)
        said = f"{sum(failed.values())} of {len(requests):,}" + (f": {dict(failed)}" if failed else "")
        yield Target(f"failed requests, {phase}", "0", said, not failed)


def _burst(result: Result) -> Iterable[Target]:
    for kind in result.kinds:
        steady = percentile(result.of(kind.name, "plateau", (0.5, 1)), 99)
        whole = percentile(result.of(kind.name, "burst"), 99)
        scaled = percentile(result.of(kind.name, "burst", (0.5, 1)), 99)
        yield Target(
            f"p99 of '{kind.name}' in the burst after scaling (its second half) to steady p99",
            f"< {_MOST_P99:g}",
            f"{scaled / steady:.2f} ({scaled:.2f} s, steady {steady:.2f} s; the whole burst {whole:.2f} s)",
            scaled < _MOST_P99 * steady,
        )


def _gpu_time(result: Result) -> Target:
    held, ideal = result.gpu_seconds()
    said = f"{held / ideal:.2f} ({held:,.0f} GPU-seconds held, ideal {ideal:,.0f})"
    return Target("GPU time to the ideal", f"<= {_MOST_GPU_TIME:g}", said, held <= _MOST_GPU_TIME * ideal)


def _node_time(result: Result) -> Target:
    there, (_, ideal) = result.node_gpu_seconds(), result.gpu_seconds()
    return Target("the same of whole nodes", "", f"{there / ideal:.2f} ({there:,.0f} GPU-seconds)", met=None)


def _night(result: Result) -> Target:
    last = result.samples[-1]
    counts = [last.replicas.get(config.name_of(model), 0) for model in MODELS]
    said = f"{counts[0]} and {counts[1]} replicas, {last.nodes.get('gpu', 0)} GPU node"
    return Target(
        "the minimum at night", "1 and 0 replicas, 1 GPU node", said, (*counts, last.nodes.get("gpu")) == (1, 0, 1)
    )


def _first(result: Result) -> Target:
    name = next(kind.name for kind in result.kinds if kind.model == config.FROM_ZERO)
    first = min(result.of(name), key=lambda one: one.at)
    said = f"{first.status} after {first.seconds:.1f} s"
    met = first.status == OK and first.seconds < config.REQUEST_TIMEOUT_S
    return Target("first request to a model at zero", f"200 within {config.REQUEST_TIMEOUT_S} s", said, met)


def _never(result: Result) -> Target:
    probe = result.too_large
    said = f"{probe.status} after {probe.seconds:.1f} s, Retry-After {probe.retry_after}"
    wanted = f"503 with Retry-After after {config.REQUEST_TIMEOUT_S} s"
    met = probe.status == 503 and bool(probe.retry_after) and probe.seconds < config.REQUEST_TIMEOUT_S + 2
    return Target("request to a model for which no node can come", wanted, said, met)
