"""Filters that cost much: the engine keeps the interpreter's lock, so nothing else runs while it looks through points.

A field without a payload index is compared at each point. That takes 0.4 microseconds and more, since the point's whole
payload is read for it. What a filter costs is tried at a few points; if that is too much for one call, the points that
pass are found piece by piece, and others have their turn in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import qdrant_edge as edge
from grpc import StatusCode

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.answers import json_id
from serve_app.embedded.edge.filter_parts import Part, parts
from serve_app.embedded.edge.filters import FILTER
from serve_app.embedded.edge.scoring_work import Sizes, visited
from serve_app.embedded.edge.shard import Shard
from serve_app.embedded.edge.strict_filters import conditions, missing_index, needed_indexes, prefetches
from serve_app.embedded.engine.errors import GrpcError, TakesLong, bad_request

JSON = Mapping[str, Any]

MOST_CHECKS = 10_000_000
"""Conditions without an index, times points: some seconds."""

MOST_UPDATES = 100_000
"""Conditions of an `update_filter`, times points of its request: a quarter of a second."""

MOST_S = 20.0
"""For the pieces of one filter."""

_AT_ONCE_S = 0.02
_FEW = 2000
"""Conditions times points that are not worth trying what they cost."""
_SAMPLE, _KEPT_S = 100, 5.0
_TRIED = 1000
"""Conditions times points of the sample: of many conditions, few points are tried."""
_LEAST_S = 2e-7
"""That a filter takes at a point, whatever the sample says."""
_PIECE_S, _PAUSE_S = 0.002, 0.0005
"""Another request takes the interpreter's lock some five times, and may wait for a piece each time."""


class Sampled(NamedTuple):
    """Some points of a shard, and how long it takes to ask for them without a filter."""

    ids: list[Any]
    unfiltered_s: float


class Sample:
    """Random points of a collection, which are kept for some seconds."""

    def __init__(self) -> None:
        self._drawn = Sampled([], 0.0)
        self._until = 0.0
        self._points = 0

    def of(self, shard: Shard, points: int) -> Sampled:
        """Some of so many points, drawn anew if that is due, or if there are many more than there were."""
        if time.monotonic() > self._until or points > 2 * self._points:
            request = edge.QueryRequest(_SAMPLE, query=edge.Sample.Random)
            ids = [one.id for one in shard.read(lambda engine: engine.query(request))]
            self._drawn = Sampled(ids, _timed(partial(_among, shard, ids), 3)[1])
            self._until, self._points = time.monotonic() + _KEPT_S, points
        return self._drawn


class Filters:
    """Filters of requests to a shard; `sizes` and `indexes` tell its points and its payload indexes."""

    def __init__(self, shard: Shard, sample: Sample, sizes: Callable[[], Sizes], indexes: Callable[[], JSON]) -> None:
        self._shard = shard
        self._sample = sample
        self._sizes = sizes
        self._indexes = indexes

    def check_write(self, content: JSON, points: int) -> None:
        """Refuse a write that lists so many points, or chooses them by a filter, if it would cost too much.

        Raises:
            GrpcError: as `affordable`.
        """
        if content.get("filter"):
            self._unserved(content["filter"], self._sizes().points)
        asked = sum(1 for _ in conditions(content.get("update_filter"))) * points
        if asked > MOST_UPDATES:
            raise bad_request(
                f"the update_filter would be compared {asked} times; conditions times points may be {MOST_UPDATES}. "
                "Help: Send fewer points at once."
            )

    def affordable(self, body: JSON) -> JSON:
        """The same request, with the ids of the points that pass in place of each filter that costs too much at once.

        Raises:
            GrpcError: a filter costs too much altogether; indexes for its conditions are the way out.
            TakesLong: there are such filters, and others wait for this thread.
        """
        changed: dict[str, Any] = {}
        if chosen := body.get("filter"):
            changed["filter"] = self._affordable(chosen, lambda sizes, share: visited(body, sizes, share))
        if corpus := _corpus(body):
            found = self._affordable(corpus, lambda sizes, _: sizes.points)
            changed["params"] = body["params"] if found is corpus else {**body["params"], "idf": {"corpus": found}}
        if inner := prefetches(body):
            below = [self.affordable(one) for one in inner]
            is_same = all(new is old for new, old in zip(below, inner, strict=True))
            changed["prefetch"] = body["prefetch"] if is_same else below
        return body if all(body[name] is one for name, one in changed.items()) else {**body, **changed}

    def _affordable(self, chosen: JSON, looked_at: Callable[[Sizes, float], float]) -> JSON:
        """`looked_at` tells at how many points the engine looks, if this share of them passes."""
        sizes = self._sizes()
        unserved = self._unserved(chosen, sizes.points)
        if unserved * sizes.points <= _FEW:
            return chosen
        condition = FILTER(chosen, "")
        seconds, share = self._tried(condition, sizes.points, max(1, _TRIED // unserved))
        if seconds * looked_at(sizes, share) <= _AT_ONCE_S:
            return chosen
        if reading.others_wait():
            raise TakesLong
        return {"must": [{"has_id": [json_id(one) for one in self._passing(parts(chosen), seconds)]}]}

    def _unserved(self, chosen: JSON, points: int) -> int:
        """How many conditions no index serves; all of them, if that is cheap anyway.

        Raises:
            GrpcError: they are too many.
        """
        found = [(key, one) for key, one in conditions(chosen) if key]
        if len(found) * points <= _FEW:
            return len(found)
        known = self._indexes()
        missing = [key for key, one in found if missing_index(known, key, needed_indexes(one))]
        if len(missing) * points > MOST_CHECKS:
            raise bad_request(
                f"the filter has {len(missing)} conditions that no payload index serves, for {points} points; at most "
                f'{MOST_CHECKS} comparisons are made. Help: Create an index for "{missing[0][:100]}".'
            )
        return len(missing)

    def _tried(self, condition: edge.Filter, points: int, most: int) -> tuple[float, float]:
        """Seconds that the filter takes at a point, and the share of points that passes, of a random sample.

        Only so many of it are looked at; if these are not all, the share is taken for nothing.
        """
        sample = self._sample.of(self._shard, points)
        ids = sample.ids[:most]
        passing, filtered_s = _timed(partial(_among, self._shard, ids, condition), 2)
        unfiltered_s = sample.unfiltered_s * len(ids) / max(1, len(sample.ids))
        count = max(1, len(ids))
        share = len(passing) / count if len(ids) == len(sample.ids) else 0.0
        return max(_LEAST_S, (filtered_s - unfiltered_s) / count), share

    def _passing(self, chosen: Part, seconds: float) -> Iterator[Any]:
        """The ids of all points that pass, if a point takes about so many seconds."""
        began, offset = time.monotonic(), None
        turns = _Turns(self._shard, max(1, int(_PIECE_S / seconds)))
        while True:
            ids, offset = _page(self._shard, edge.ScrollRequest(offset, turns.points, None, False, False, None))  # noqa: FBT003
            yield from chosen.passing(ids, turns.among)
            turns.adapt()
            if offset is None:
                return
            if time.monotonic() - began > MOST_S:
                message = f"a filter without payload indexes takes more than {MOST_S:g} s"
                raise GrpcError(StatusCode.DEADLINE_EXCEEDED, f"Timeout error: {message}")


class _Turns:
    """Asks the engine about so many points at once that no call takes long, and lets others have a turn in between."""

    def __init__(self, shard: Shard, points: int) -> None:
        self.points = points
        self._shard = shard
        self._calls = 0
        self._took_s = 0.0
        self._rested_at_s = 0.0

    def among(self, ids: list[Any], condition: edge.Filter) -> list[Any]:
        """Which of these points pass."""
        began = time.perf_counter()
        found = _among(self._shard, ids, condition)
        self._took_s += time.perf_counter() - began
        self._calls += 1
        if self._took_s - self._rested_at_s > _PIECE_S:
            self._rested_at_s = self._took_s
            time.sleep(_PAUSE_S)
        return found

    def adapt(self) -> None:
        """Ask about fewer points from now on if the calls took too long, about more if they were quick."""
        mean_s = self._took_s / max(1, self._calls)
        if mean_s > _PIECE_S:
            self.points = max(1, self.points // 2)
        elif mean_s < _PIECE_S / 3:
            self.points *= 2
        self._calls, self._took_s, self._rested_at_s = 0, 0.0, 0.0


def _timed(call: Callable[[], list[Any]], times: int) -> tuple[list[Any], float]:
    """What a call gives, and the seconds of the quickest of several: the first may find the caches cold."""
    moments = [time.perf_counter()]
    for _ in range(times):
        given = call()
        moments.append(time.perf_counter())
    return given, min(later - earlier for earlier, later in pairwise(moments))


def _among(shard: Shard, ids: list[Any], *condition: edge.Filter) -> list[Any]:
    piece = edge.Filter(must=[edge.HasIdCondition(set(ids)), *condition])
    return _page(shard, edge.ScrollRequest(None, max(1, len(ids)), piece, False, False, None))[0]  # noqa: FBT003


def _page(shard: Shard, request: edge.ScrollRequest) -> tuple[list[Any], Any]:
    found, following = shard.read(lambda engine: engine.scroll(request))
    return [one.id for one in found], following


def _corpus(body: JSON) -> Any:
    """The filter of the points that the rareness of words is counted in."""
    idf = (body.get("params") or {}).get("idf")
    return idf.get("corpus") if isinstance(idf, dict) else None
