"""Counters, gauges and histograms of this process, in plain Python: to count takes less than a microsecond.

`deployments.metrics.export` hands them to Ray's exporter every few seconds. Metrics are made when a module is
imported and live as long as the process, as in Prometheus's own clients. A label has few values, which the software
knows beforehand: models, operations, statuses; never a collection, a tenant's text, or anything else that a caller
chooses.

Several threads may count at the same time, if each label set has one of them only, or a lock around it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from typing_extensions import override

PREFIX = "qdrant_inference_"

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds of the buckets of a time."""

COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)
"""Those of a number of inputs or tokens."""

Labels = tuple[str, ...]


class Sample(NamedTuple):
    """One value as Prometheus has it: the full name, the labels with their values, the value."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass
class _Values:
    """A value for each combination of labels. To add to one of `values` is to count."""

    name: str
    labels: Labels
    unit: str
    about: str
    values: defaultdict[Labels, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        METRICS.append(self)

    @property
    def full_name(self) -> str:
        """The name under which it is exported."""
        return PREFIX + self.name

    @property
    def exported(self) -> Sequence[tuple[str, Labels]]:
        """The names under which it is exported, with their labels."""
        return [(self.full_name, self.labels)]

    def samples(self) -> Iterator[Sample]:
        """All values that there are."""
        for labels, value in list(self.values.items()):
            yield Sample(self.full_name, dict(zip(self.labels, labels, strict=True)), value)


class Counter(_Values):
    """Sums that only grow while the process lives."""

    @property
    @override
    def full_name(self) -> str:
        return f"{PREFIX}{self.name}_total"

    def add(self, amount: float, *labels: str) -> None:
        """Add to the sum of these labels."""
        self.values[labels] += amount


class Gauge(_Values):
    """Values that go up and down."""

    def set(self, value: float, *labels: str) -> None:
        """Set the value of these labels."""
        self.values[labels] = value


@dataclass
class _Series:
    counts: list[int]
    total: float = 0.0


class _SeriesByLabels(dict[Labels, _Series]):
    """Has a series of nothing for labels that were not seen yet."""

    def __init__(self, bounds: int) -> None:
        super().__init__()
        self._bounds = bounds

    def __missing__(self, labels: Labels) -> _Series:
        series = self[labels] = _Series([0] * (self._bounds + 1))
        return series


@dataclass
class Histogram:
    """How often a value was at most each of the bounds; its exact sum, and how often there was one."""

    name: str
    labels: Labels
    unit: str
    about: str
    bounds: Sequence[float]

    def __post_init__(self) -> None:
        self.series = _SeriesByLabels(len(self.bounds))
        METRICS.append(self)

    @property
    def exported(self) -> Sequence[tuple[str, Labels]]:
        """The names under which it is exported, with their labels."""
        full = PREFIX + self.name
        return [(f"{full}_bucket", (*self.labels, "le")), (f"{full}_sum", self.labels), (f"{full}_count", self.labels)]

    def observe(self, value: float, *labels: str) -> None:
        """Take one value in."""
        series = self.series[labels]
        series.counts[bisect_left(self.bounds, value)] += 1
        series.total += value

    def observe_all(self, values: Mapping[tuple[str, str], float], *more: str) -> None:
        """Take some values in, each by its first two labels; `more` are the other labels of all."""
        for labels, value in values.items():
            series = self.series[(*labels, *more)]
            series.counts[bisect_left(self.bounds, value)] += 1
            series.total += value

    def samples(self) -> Iterator[Sample]:
        """Buckets, sums and counts, as Prometheus's text format has them."""
        full = PREFIX + self.name
        for values, series in list(self.series.items()):
            labels = dict(zip(self.labels, values, strict=True))
            counts = list(accumulate(series.counts))
            for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
                yield Sample(f"{full}_bucket", {**labels, "le": bound}, count)
            yield Sample(f"{full}_sum", labels, series.total)
            yield Sample(f"{full}_count", labels, counts[-1])


METRICS: list[_Values | Histogram] = []
"""All metrics of this process."""

STAGE_SECONDS = Histogram(
    "stage_seconds", ("stage", "model", "operation"), "seconds", "Time of one stage of the work, wherever done", SECONDS
)
