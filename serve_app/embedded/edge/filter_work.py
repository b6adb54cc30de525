"""How much the engine may look at for one filter: it keeps the interpreter's lock, so nothing else runs meanwhile.

A field without a payload index is read and compared at each point. That takes 0.4 microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from serve_app.embedded.edge.strict_filters import conditions, missing_index, needed_indexes
from serve_app.embedded.engine.errors import bad_request

JSON = Mapping[str, Any]

MOST_CHECKS = 2_500_000
"""Conditions without an index, times points: about a second."""


def filters(body: Any) -> Iterator[JSON]:
    """All filters of a request that reads or writes: its own, and those of its prefetches."""
    if not isinstance(body, Mapping):
        return
    if body.get("filter"):
        yield body["filter"]
    prefetch = body.get("prefetch")
    for one in prefetch if isinstance(prefetch, list) else [prefetch]:
        yield from filters(one)


def check(chosen: JSON, points: int, indexes: Callable[[], JSON]) -> None:
    """Refuse a filter that would keep all others waiting.

    Raises:
        GrpcError: says how many conditions have no index; indexes for them are the way out.
    """
    found = [(key, one) for key, one in conditions(chosen) if key]
    if len(found) * points <= MOST_CHECKS:
        return
    known = indexes()
    missing = [key for key, one in found if missing_index(known, key, needed_indexes(one))]
    if len(missing) * points > MOST_CHECKS:
        raise bad_request(
            f"the filter has {len(missing)} conditions that no payload index serves, for {points} points; at most "
            f'{MOST_CHECKS} comparisons are made. Help: Create an index for "{missing[0][:100]}".'
        )
