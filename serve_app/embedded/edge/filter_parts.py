"""A filter of many conditions, asked for part by part: the engine looks at all of them before it looks at a point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import qdrant_edge as edge

from serve_app.embedded.edge.filters import FILTER
from serve_app.embedded.edge.strict_filters import conditions

JSON = Mapping[str, Any]
Ids = list[Any]
Ask = Callable[[Ids, edge.Filter], Ids]
"""Which of these points pass a filter of the engine's, in their order."""

MOST = 50
"""Conditions in a part: it takes the engine 0.1 ms to begin with so many, and 1,000 take 2 ms."""


class Part(Protocol):
    """A filter, or what stands for some conditions of one."""

    def passing(self, ids: Ids, ask: Ask) -> Ids:
        """Which of these points pass."""


def parts(chosen: JSON) -> Part:
    """A filter whose depth and shape were checked.

    Raises:
        GrpcError: it cannot be read.
    """
    if sum(1 for _ in conditions(chosen)) <= MOST:
        return _Few(FILTER(chosen, ""))
    must = _grouped("must", chosen.get("must"))
    enough = chosen.get("min_should")
    if enough and len(enough["conditions"]) <= MOST:
        must.append(_Few(FILTER({"min_should": enough}, "")))
    elif enough:
        must.append(_Enough([parts({"must": [one]}) for one in enough["conditions"]], enough["min_count"]))
    return _All(must, _grouped("should", chosen.get("must_not")), _grouped("should", chosen.get("should")))


def _grouped(how: str, given: Any) -> list[Part]:
    """Conditions in groups, and the filters among them each for itself."""
    clauses = given if isinstance(given, list) else [given] if given else []
    single = [one for one in clauses if one.keys() & _SINGLE]
    groups: list[Part] = [_Few(FILTER({how: single[at : at + MOST]}, "")) for at in range(0, len(single), MOST)]
    return groups + [parts(one) for one in clauses if not one.keys() & _SINGLE]


_SINGLE = frozenset(("key", "nested", "is_empty", "is_null", "has_id", "has_vector", "slice"))
"""What a condition has that is no filter."""


@dataclass(frozen=True)
class _Few:
    condition: edge.Filter

    def passing(self, ids: Ids, ask: Ask) -> Ids:
        return ask(ids, self.condition) if ids else []


@dataclass(frozen=True)
class _All:
    must: Sequence[Part]
    must_not: Sequence[Part]
    should: Sequence[Part]

    def passing(self, ids: Ids, ask: Ask) -> Ids:
        for part in self.must:
            ids = part.passing(ids, ask)
        for part in self.must_not:
            gone = set(part.passing(ids, ask))
            ids = [one for one in ids if one not in gone]
        if not self.should:
            return ids
        found: set[Any] = set()
        for part in self.should:
            found.update(part.passing([one for one in ids if one not in found], ask))
        return [one for one in ids if one in found]


@dataclass(frozen=True)
class _Enough:
    of: Sequence[Part]
    count: int

    def passing(self, ids: Ids, ask: Ask) -> Ids:
        passed = Counter(one for part in self.of for one in part.passing(ids, ask))
        return [one for one in ids if passed[one] >= self.count]
