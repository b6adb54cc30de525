"""What scoring costs the engine, told before it begins, since nothing else runs meanwhile: it keeps the GIL.

Costs are in comparisons of 0.4 microseconds, as long as a condition on a point with little payload takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from serve_app.embedded.edge.points import Kind, Kinds
from serve_app.embedded.edge.strict_filters import conditions, prefetches
from serve_app.embedded.edge.strict_rates import compared_vectors
from serve_app.embedded.engine.errors import bad_request

JSON = Mapping[str, Any]

MOST_SCORING = 2_500_000
"""About a second, in one call that cannot be divided."""

_NUMBERS = 768
"""So many numbers of two vectors are multiplied in the time of a comparison."""
_STORED_ROWS, _ASKED_ROWS = 100, 64
"""Vectors that a point has under a multivector's name, as a rule, and that a query for it has at most."""
_VISITED = 16
"""Points that a search by an index looks at for each that it keeps."""
_EF = 128
"""So many it keeps at least."""
_LIMIT = 10
_VARIABLE, _CONDITION, _NUMBER = 4.0, 3.0, 0.05
"""What the parts of a formula cost at each candidate."""
_SELECTIONS = 180
"""MMR's candidates times its hits squared, in the time of a comparison."""


class Sizes(NamedTuple):
    """How many points there are, and how many of them no vector index leads to."""

    points: int
    unindexed: int


def visited(body: JSON, sizes: Sizes, share: float = 1.0) -> float:
    """How many points a query or prefetch looks at, if this share of them passes its filter."""
    query, params = body.get("query"), body.get("params") or {}
    if query is None or params.get("exact") or (isinstance(query, dict) and not query.keys() & _BY_INDEX):
        return sizes.points
    kept = max((body.get("limit") or _LIMIT) + (body.get("offset") or 0), params.get("hnsw_ef") or _EF)
    return min(sizes.points, sizes.unindexed + _VISITED * kept / max(share, 1e-9))


_BY_INDEX = frozenset(("nearest", "recommend", "discover", "context", "relevance_feedback"))
"""Queries that a vector index answers, if they are no bare vector or id."""


def is_one_vector(body: JSON) -> bool:
    """Whether a query compares points with one vector and does no more: that is never too much."""
    query = body.get("query")
    if body.get("prefetch") or (isinstance(query, dict) and "indices" not in query):
        return False
    return not (isinstance(query, list) and query and isinstance(query[0], list)) or len(query) <= _ASKED_ROWS


def check_scoring(body: JSON, kinds: Kinds, sizes: Sizes) -> None:
    """Refuse a query that would keep all others waiting; one vector may be compared with all points in any case.

    Raises:
        GrpcError: it says what the query would cost.
    """
    usual = max((_vector_cost(kind, _ASKED_ROWS if kind.is_multi else 1) for kind in kinds.values()), default=0.0)
    most = max(MOST_SCORING, usual * sizes.points)
    cost = _cost(body, kinds, sizes)
    if cost > most:
        raise bad_request(
            f"the query would cost as much as {cost:.0f} comparisons, for {sizes.points} points; the embedded store "
            f"makes at most {most:.0f}. Help: Use fewer vectors, prefetches, candidates or parts of a formula."
        )


def _cost(body: JSON, kinds: Kinds, sizes: Sizes) -> float:
    inner = prefetches(body)
    limit = (body.get("limit") or _LIMIT) + (body.get("offset") or 0)
    if inner:
        candidates = float(min(sizes.points, sum(one.get("limit") or _LIMIT for one in inner)))
    else:
        candidates = visited(body, sizes)
    own = _scored(body.get("query"), kinds.get(body.get("using") or "", Kind()), candidates, limit)
    return own + sum(_cost(one, kinds, sizes) for one in inner)


def _scored(query: Any, kind: Kind, candidates: float, limit: int) -> float:
    """Of one level, with so many candidates."""
    if query is None:
        return 0
    if isinstance(query, dict) and "formula" in query:
        return _formula(query["formula"]) * candidates
    mmr = query.get("mmr") if isinstance(query, dict) else None
    chosen_from = min(mmr.get("candidates_limit") or limit, candidates) if mmr else 0
    selecting = chosen_from * min(limit, chosen_from) ** 2 / _SELECTIONS
    return _vector_cost(kind, compared_vectors(query)) * candidates + selecting


def _vector_cost(kind: Kind, rows: int) -> float:
    """Of so many vectors at a point."""
    stored = _STORED_ROWS if kind.is_multi else 1
    return rows * (0.5 + stored * kind.size / _NUMBERS / (8 if kind.is_multi else 1))


def _formula(part: Any) -> float:
    """Of a part of a formula at a candidate."""
    if isinstance(part, list):
        return sum(map(_formula, part))
    if isinstance(part, str):
        return _VARIABLE
    if not isinstance(part, dict):
        return _NUMBER
    if part.keys() & _CONDITIONS:
        return _CONDITION * (1 + sum(1 for _ in conditions(part)))
    return _NUMBER + sum(map(_formula, part.values()))


_CONDITIONS = frozenset(
    ("key", "must", "should", "must_not", "min_should", "is_empty", "is_null", "nested", "has_id", "has_vector")
)
