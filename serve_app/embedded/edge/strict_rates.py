"""How much a collection's strict mode lets callers read and write a minute, and what a request costs of that."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from grpc import StatusCode

from serve_app.embedded.edge.strict_filters import conditions, prefetches
from serve_app.embedded.engine.errors import GrpcError

JSON = Mapping[str, Any]


class Bucket:
    """So many tokens a minute, of which all may be taken at once."""

    def __init__(self, kind: str, per_minute: int) -> None:
        """`kind` is what errors call it."""
        self._kind = kind
        self._size = self._tokens = float(per_minute)
        self._filled = time.monotonic()
        self._lock = threading.Lock()

    def take(self, cost: int) -> None:
        """Take tokens.

        Raises:
            GrpcError: there are not so many.
        """
        with self._lock:
            now = time.monotonic()
            self._tokens = min(self._size, self._tokens + (now - self._filled) * self._size / 60)
            self._filled = now
            if cost > self._size:
                raise self._exceeded(", request larger than rate limiter capacity, please try to split your request")
            if cost > self._tokens:
                seconds = math.ceil((cost - self._tokens) * 60 / self._size)
                available = f"Operation requires {cost} tokens but only {self._tokens:.1f} were available."
                raise self._exceeded(f": {available} Retry after {seconds}s")
            self._tokens -= cost

    def _exceeded(self, why: str) -> GrpcError:
        message = f"Rate limiting exceeded: {self._kind} rate limit exceeded{why}"
        return GrpcError(StatusCode.RESOURCE_EXHAUSTED, message)


class Rates:
    """The two limits of a configuration, or none."""

    def __init__(self, limits: JSON | None) -> None:
        given = limits if limits and limits.get("enabled") else {}
        reads, writes = given.get("read_rate_limit"), given.get("write_rate_limit")
        self.reads = Bucket("Read", reads) if reads else None
        self.writes = Bucket("Write", writes) if writes else None


def read_cost(body: JSON) -> int:
    """Of a request that goes through points once."""
    return 1 + sum(1 for _ in conditions(body.get("filter")))


def query_cost(body: JSON) -> int:
    """Of a query: each vector that points are compared with counts, and each condition."""
    inner = prefetches(body)
    if inner:
        return sum(map(query_cost, inner))
    return compared_vectors(body.get("query")) + sum(1 for _ in conditions(body.get("filter")))


def compared_vectors(query: Any) -> int:
    """How many vectors a query compares points with."""
    if not isinstance(query, dict):
        return _rows(query)
    [(kind, given), *_] = query.items() or [("", None)]
    return _COSTS[kind](given) if kind in _COSTS else 1


def _rows(vector: Any) -> int:
    return len(vector) if isinstance(vector, list) and vector and isinstance(vector[0], list) else 1


def _all(vectors: Any) -> int:
    return sum(_rows(one) for one in vectors or ())


def _of_pairs(context: Any) -> int:
    pairs = context if isinstance(context, list) else [context] if context else []
    return sum(_rows(pair.get("positive")) + _rows(pair.get("negative")) for pair in pairs)


def _recommend(given: JSON) -> int:
    by_average = given.get("strategy") in {None, "average_vector"}
    return 1 if by_average else _all(given.get("positive")) + _all(given.get("negative"))


_COSTS: dict[str, Callable[[Any], int]] = {
    "nearest": _rows,
    "recommend": _recommend,
    "discover": lambda given: _rows(given.get("target")) + _of_pairs(given.get("context")),
    "context": _of_pairs,
    "relevance_feedback": lambda given: (
        _rows(given.get("target")) + _all([one.get("example") for one in given.get("feedback") or ()])
    ),
}
