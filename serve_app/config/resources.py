"""What deployments ask of Ray, and how many nodes of a size can give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployments.errors import ConfigError

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_ROUNDING = 1e-6
"""Ten replicas of a tenth of a core fit on one core."""


@dataclass(frozen=True)
class Resources:
    """Resources in Ray's sense, which are counted but not enforced; `memory` in bytes, `custom` by name."""

    cpus: float = 0.0
    gpus: float = 0.0
    memory: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)

    def __add__(self, other: Resources) -> Resources:
        return self._with(other, 1.0)

    def __sub__(self, other: Resources) -> Resources:
        return self._with(other, -1.0)

    def holds(self, other: Resources) -> bool:
        """Whether all of `other` is left here."""
        rest = self - other
        return min(rest.cpus, rest.gpus, rest.memory, *rest.custom.values()) >= -_ROUNDING

    def _with(self, other: Resources, sign: float) -> Resources:
        return Resources(
            self.cpus + sign * other.cpus,
            self.gpus + sign * other.gpus,
            self.memory + sign * other.memory,
            {
                name: self.custom.get(name, 0.0) + sign * other.custom.get(name, 0.0)
                for name in {*self.custom, *other.custom}
            },
        )


@dataclass(frozen=True)
class Demand:
    """What a deployment asks for, from its least number of replicas to its greatest."""

    deployment: str
    least: int
    most: int
    replica: Resources


STORE = Demand("Store", 1, 1, Resources(cpus=0.1))
"""The embedded store, which is there without QDRANT_URL: always one, so nothing about it stands in a Serve config."""


def total(replicas: Iterable[Resources]) -> Resources:
    """All that some replicas ask for."""
    return sum(replicas, Resources())


def nodes_needed(node: Resources, replicas: Iterable[Resources]) -> int | None:
    """How many nodes of a size hold the replicas, put in the first one that has room, the largest replicas first.

    None if a replica does not fit on an empty node.
    """
    left: list[Resources] = []
    for replica in sorted(replicas, key=lambda replica: (replica.gpus, replica.cpus, replica.memory), reverse=True):
        if not node.holds(replica):
            return None
        place = next((number for number, rest in enumerate(left) if rest.holds(replica)), len(left))
        left[place : place + 1] = [(left[place] if place < len(left) else node) - replica]
    return len(left)


def bytes_of(text: str) -> int:
    """The bytes of a memory size as Kubernetes writes it, such as 32Gi.

    Raises:
        ConfigError: it is none.
    """
    number, unit = (text[:-2], _UNITS[text[-2:]]) if text[-2:] in _UNITS else (text, 1)
    try:
        return int(float(number) * unit)
    except ValueError:
        raise ConfigError(f"'{text}' is no size of memory; expected one such as 32Gi") from None
