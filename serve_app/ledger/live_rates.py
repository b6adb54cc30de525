"""Live figures: how much is done in a second, and how long requests take, in the last minute.

Every ingress replica measures its own; their snapshots (`Snapshot`) can be added up, latencies too, because they
are kept as histograms.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_RATES_S = 10.0
"""Over how long rates are averaged: a minute would be old news."""

_LATENCIES_S = 60.0
_STEP = math.log(1.1)
"""Buckets of latencies grow by a tenth: percentiles are that exact."""

_SHORTEST, _LONGEST = -24, 200
"""The buckets that end at a tenth of a millisecond, and at two days."""

_ENDS_MS = [math.exp(bucket * _STEP) for bucket in range(_SHORTEST, _LONGEST + 1)]

WHOLE = ""
"""Stands where a model's name would, for requests as a whole: one with several models is there once."""

Snapshot = Mapping[str, Mapping[str, Any]]
"""Live figures as JSON, by model and of `WHOLE`: `tokens`, `requests`, `errors` and `refused` a second, `ms` counts by
bucket, and the tokens that are `waiting`."""


@dataclass
class Moment:
    """What was done with one model, or all in all, between two looks."""

    requests: int = 0
    tokens: int = 0
    errors: int = 0
    refused: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, tokens: int, seconds: float | None) -> None:
        """Count a request; without `seconds`, tokens of one that was counted already."""
        self.tokens += tokens
        if seconds is None:
            return
        self.requests += 1
        self.buckets[_SHORTEST + bisect_left(_ENDS_MS, seconds * 1000)] += 1

    def failed(self, *, refused: bool) -> None:
        """Count a request that failed; `refused`: because too much waits, or a quota is used up (429)."""
        self.errors += not refused
        self.refused += refused


_RATES = ("tokens", "requests", "errors", "refused")


def _nothing() -> dict[str, Any]:
    return {**dict.fromkeys(_RATES, 0.0), "ms": Counter[str](), "waiting": 0}


class LastMinute:
    """The moments of the last minute, and their latencies added up: they are asked for every time that some come."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, dict[str, Moment]]] = deque()
        self._counts: Counter[str] = Counter()  # of moments, by model
        self._latencies: dict[str, Counter[int]] = {}

    def add(self, now: float, moments: dict[str, Moment]) -> None:
        """Take on what ended `now` (in seconds of any clock), and forget what is older than a minute."""
        if moments:
            self._moments.append((now, moments))
            self._counts.update(moments.keys())
            for model, moment in moments.items():
                self._latencies.setdefault(model, Counter()).update(moment.buckets)
        while self._moments and self._moments[0][0] <= now - _LATENCIES_S:
            self._forget(self._moments.popleft()[1])

    def _forget(self, moments: dict[str, Moment]) -> None:
        for model, moment in moments.items():
            self._counts[model] -= 1
            if self._counts[model]:
                self._latencies[model] -= moment.buckets
            else:
                del self._counts[model], self._latencies[model]

    def snapshot(self, now: float, waiting: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """The figures for the other replicas, a `Snapshot`; `waiting` are the tokens that wait by model."""
        snapshot: dict[str, dict[str, Any]] = {}
        for model, buckets in self._latencies.items():
            snapshot[model] = figures = _nothing()
            figures["ms"].update({str(bucket): count for bucket, count in buckets.items()})
        for ended, moments in reversed(self._moments):
            if ended <= now - _RATES_S:
                break
            for model, moment in moments.items():
                for rate in _RATES:
                    snapshot[model][rate] += getattr(moment, rate) / _RATES_S
        for model, tokens in waiting.items():
            if tokens:
                snapshot.setdefault(model, _nothing())["waiting"] = tokens
                snapshot.setdefault(WHOLE, _nothing())["waiting"] += tokens
        return snapshot


@dataclass(frozen=True)
class Figures:
    """Live figures of one model's part of requests, or of requests as a whole: in a second, and in milliseconds.

    `refused` are requests that were turned away with 429, `errors` all others that failed.
    """

    tokens_per_s: float = 0.0
    requests_per_s: float = 0.0
    errors_per_s: float = 0.0
    refused_per_s: float = 0.0
    waiting_tokens: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


def by_model(replicas: Iterable[Snapshot]) -> dict[str, Figures]:
    """The figures of all replicas together."""
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for snapshot in replicas:
        for model, figures in snapshot.items():
            parts.setdefault(model, []).append(figures)
    return {model: _together(figures) for model, figures in parts.items() if model != WHOLE}


def total(replicas: Iterable[Snapshot]) -> Figures:
    """The figures of all replicas for requests as a whole."""
    return _together([snapshot[WHOLE] for snapshot in replicas if WHOLE in snapshot])


def _together(parts: Iterable[Mapping[str, Any]]) -> Figures:
    sums = dict.fromkeys((*_RATES, "waiting"), 0.0)
    buckets: Counter[int] = Counter()
    for part in parts:
        for name in sums:
            sums[name] += part.get(name, 0)  # a replica of another version may not tell it
        buckets.update({int(bucket): count for bucket, count in part["ms"].items()})
    rates = {f"{name}_per_s": round(sums[name], 2) for name in _RATES}
    p50, p95 = _percentile(buckets, 0.5), _percentile(buckets, 0.95)
    return Figures(**rates, waiting_tokens=int(sums["waiting"]), p50_ms=p50, p95_ms=p95)


def _percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """The upper end of the bucket in which the percentile lies."""
    needed = share * sum(buckets.values())
    seen = 0
    for bucket, count in sorted(buckets.items()):
        seen += count
        if seen >= needed:
            return round(math.exp(bucket * _STEP), 2)
    return None
