"""A day's traffic: how much of it comes when, what it consists of, and when each request is sent.

Night, a morning's ramp, a plateau, a burst to the peak in one step, an evening's ramp, night.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PEAK = 20.0
"""Times the base, which is what comes at night."""

_PLATEAU = 12.0


@dataclass(frozen=True)
class Phase:
    """A part of the day: its share of it, and the traffic at its end as a multiple of the base."""

    name: str
    share: float
    ends_at: float


PHASES = (
    Phase("early night", 0.06, 1.0),
    Phase("ramp", 0.26, _PLATEAU),
    Phase("plateau", 0.18, _PLATEAU),
    Phase("burst", 0.22, PEAK),
    Phase("evening", 0.10, 1.0),
    Phase("night", 0.18, 1.0),
)
_STEPS = {"burst"}
"""Phases that have their traffic from their first moment on; others come to it in a straight line."""


@dataclass(frozen=True)
class Kind:
    """One kind of request: `rate` a second at the base, `texts` of so many `words` each.

    A kind that is not `all_day` comes from the ramp to the evening only.
    """

    name: str
    model: str
    rate: float
    texts: int
    words: int
    all_day: bool = True


@dataclass(frozen=True)
class Arrival:
    """A request to be sent, so many seconds after the day began."""

    at: float
    kind: Kind


@dataclass(frozen=True)
class Day:
    """All phases, stretched over so many seconds."""

    seconds: float

    def bounds(self, name: str) -> tuple[float, float]:
        """When a phase begins and ends, in seconds."""
        start = 0.0
        for phase in PHASES:
            end = start + phase.share * self.seconds
            if phase.name == name:
                return start, end
            start = end
        raise KeyError(name)

    def factor(self, at: float) -> float:
        """The traffic at a moment, as a multiple of the base."""
        before = 1.0
        for phase in PHASES:
            start, end = self.bounds(phase.name)
            if at < end:
                done = 1.0 if phase.name in _STEPS else (at - start) / (end - start)
                return before + (phase.ends_at - before) * done
            before = phase.ends_at
        return before

    def rate(self, kind: Kind, at: float) -> float:
        """How many requests of a kind come in a second at a moment."""
        awake = self.bounds("ramp")[0] + 0.05 * self.seconds <= at < self.bounds("evening")[1]
        return kind.rate * self.factor(at) if kind.all_day or awake else 0.0

    def arrivals(self, kinds: Sequence[Kind]) -> Iterator[Arrival]:
        """When requests come, independently of each other (a Poisson process), the same on every run.

        Moments are drawn at the peak's rate, and each is kept with the probability that its own rate has of it
        (thinning; Lewis and Shedler, 1979).
        """
        chance = random.Random(1)
        highest = PEAK * sum(kind.rate for kind in kinds)
        at = chance.expovariate(highest)
        while at < self.seconds:
            drawn = chance.random() * highest
            for kind in kinds:
                drawn -= self.rate(kind, at)
                if drawn < 0:
                    yield Arrival(at, kind)
                    break
            at += chance.expovariate(highest)
