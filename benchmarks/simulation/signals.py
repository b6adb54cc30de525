"""Which signal should scale a model? Serve's own, batches under way, against how busy the GPUs are and what waits.

The same day as in `benchmarks.simulation`, in virtual time: batches, replicas and nodes are events in one process, so
that it takes no more than a minute and comes out the same on every machine. The gateway's own class makes the batches
(`serve_app.batching.batcher`). Replicas tell what `autoscaling.Load` tells, and handles how many batches are under way
and how many wait before the replicas; Ray Serve's own code decides.
`python -m benchmarks.simulation.signals`
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
from ray.serve import autoscaling_policy
from ray.serve.config import AutoscalingConfig

from benchmarks import tables
from benchmarks.simulation import config, gpu, traffic
from benchmarks.simulation.day import Day, Kind
from deployments import autoscaling
from serve_app.batching.batcher import BatchQueue, Item, ReadyBatch
from serve_app.config.settings import IngressSettings, LiveSettings

_TICK_S = 1.0
_REPLICA_S = 8.0
"""Until a new replica serves: its process, Ray Serve's import, and the model's loading."""

_NOTHING = 1e-6


def _batches_under_way(ctx: Any) -> tuple[float, dict[str, Any]]:
    return autoscaling_policy._core_replica_queue_length_policy(ctx)  # noqa: SLF001  the policy that Serve has


_SIGNALS: dict[str, Callable[[Any], tuple[float, dict[str, Any]]]] = {
    "batches under way": _batches_under_way,
    "busy share and backlog": autoscaling.replicas,
}


@dataclass(eq=False)
class _Request:
    kind: Kind
    at: float
    missing: int

    is_wanted = True  # nobody hangs up on this day


_Queue = BatchQueue[float, _Request]
"""The gateway's own; the value of an input is how many tokens it has."""


@dataclass(eq=False)
class _Batch:
    """A batch of a queue, and how many of its tokens are not worked off yet."""

    ready: ReadyBatch[float, _Request]
    queue: _Queue
    tokens: float
    search: bool


@dataclass(eq=False)
class _Replica:
    load: autoscaling.Load
    batches: list[_Batch] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    busy: bool = False
    leaving: bool = False
    told: list[tuple[float, dict[str, float]]] = field(default_factory=list)


class _Cluster:
    """One model, its replicas, and the ingress replicas before them."""

    def __init__(self, day: Day, ingress: int, settings: Any, signal: Callable[[Any], Any]) -> None:
        self.now = 0.0
        self.done: list[tuple[_Request, float]] = []
        self.held_s = 0.0
        self.most = 1
        self._chance = random.Random(3)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._day = day
        self._queues: list[tuple[_Queue, _Queue]] = [
            (BatchQueue(settings.live), BatchQueue(settings.live)) for _ in range(ingress)
        ]
        self._replicas = [self._new_replica()]
        self._starting = 0
        self._queue: deque[_Batch] = deque()
        self._budget = settings.budget
        self._scaling: AutoscalingConfig = settings.scaling
        self._decide = autoscaling_policy._apply_autoscaling_config(signal)  # noqa: SLF001
        self._state: dict[str, Any] = {}
        self._counts: list[tuple[float, int, int]] = []
        self._reported: dict[str, Any] = {}

    def run(self, kinds: tuple[Kind, ...], tokens: dict[str, float], characters: dict[str, int]) -> None:
        """The whole day; `tokens` of an average request of each kind, `characters` of an average text."""
        for arrival in self._day.arrivals(kinds):
            each = tokens[arrival.kind.name] / arrival.kind.texts
            size = characters[arrival.kind.name]
            self._at(arrival.at, lambda a=arrival, e=each, s=size: self._arrive(a.kind, e, s))  # type: ignore[misc]
        self._at(0.0, self._tick)
        with mock.patch("time.time", side_effect=lambda: self.now):
            while self._events:
                self.now, _, happen = heapq.heappop(self._events)
                happen()

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), happen))

    def _arrive(self, kind: Kind, tokens: float, characters: int) -> None:
        search = kind.texts == 1
        queue = self._chance.choice(self._queues)[0 if search else 1]
        request = _Request(kind, self.now, kind.texts)
        self._send(queue, queue.add([Item(tokens, characters, request, at) for at in range(kind.texts)]), search)

    def _send(self, queue: _Queue, batches: list[ReadyBatch[float, _Request]], search: bool) -> None:  # noqa: FBT001
        for ready in batches:
            self._queue.append(_Batch(ready, queue, sum(item.value for item in ready.items), search))
        self._dispatch()

    def _dispatch(self) -> None:
        """To the one of two replicas that has fewer batches, as Serve's router does; each takes at most 16."""
        while self._queue:
            free = [one for one in self._replicas if len(one.batches) < 16 and not one.leaving]
            if not free:
                return
            two = self._chance.sample(free, min(2, len(free)))
            replica = min(two, key=lambda one: len(one.batches))
            replica.batches.append(self._queue.popleft())
            replica.begun.append(round(replica.batches[-1].tokens))
            self._work(replica)

    def _work(self, replica: _Replica) -> None:
        if replica.busy or not replica.batches:
            return
        replica.busy = True
        replica.batches.sort(key=lambda batch: not batch.search)
        left, parts = float(self._budget), []
        for batch in replica.batches:
            part = min(left, batch.tokens)
            parts.append((batch, part))
            left -= part
            if left <= 0:
                break
        seconds = gpu.CHUNK_S + (self._budget - left) / gpu.REPLICA_TOKENS_A_SECOND
        self._at(self.now + seconds, lambda: self._worked_off(replica, parts, seconds))

    def _worked_off(self, replica: _Replica, parts: list[tuple[_Batch, float]], seconds: float) -> None:
        replica.load.worked(seconds, round(sum(part for _, part in parts)), replica.begun)
        replica.begun = []
        for batch, part in parts:
            batch.tokens -= part
        done = [batch for batch, _ in parts if batch.tokens <= _NOTHING]
        replica.batches = [batch for batch in replica.batches if batch.tokens > _NOTHING]
        replica.busy = False
        for batch in done:
            self._finish(batch)
        if replica.leaving and not replica.batches and replica in self._replicas:
            self._replicas.remove(replica)
        self._work(replica)
        self._dispatch()

    def _finish(self, batch: _Batch) -> None:
        for request in (item.request for item in batch.ready.items):
            request.missing -= 1
            if not request.missing:
                self.done.append((request, self.now - request.at))
        self._send(batch.queue, batch.queue.came_back(batch.ready), batch.search)

    def _tick(self) -> None:
        """Once a second: note the signals, report them when it is time to, decide, and count what is held."""
        held = len(self._replicas) + self._starting
        self.held_s += held * _TICK_S
        self.most = max(self.most, held)
        running = sum(len(replica.batches) for replica in self._replicas)
        self._counts.append((self.now, len(self._queue) + running, len(self._queue)))
        for replica in self._replicas:
            waiting = sum(batch.tokens for batch in replica.batches)
            replica.told.append((self.now, replica.load.read(round(waiting), streams=1)))
        if self.now % self._scaling.metrics_interval_s < _TICK_S:
            self._reported = self._report()
        self._scale()
        if self.now < self._day.seconds:
            self._at(self.now + _TICK_S, self._tick)

    def _report(self) -> dict[str, Any]:
        """What Serve's controller goes by until the next report: means over the look-back period."""
        since = self.now - self._scaling.look_back_period_s
        means = {
            replica: {
                name: fmean(told[name] for at, told in replica.told if at > since) for name in replica.told[-1][1]
            }
            for replica in self._replicas
            if replica.told and not replica.leaving
        }
        names = next(iter(means.values()), {})
        return {
            "total_num_requests": fmean(under_way for at, under_way, _ in self._counts if at > since),
            "total_queued_requests": fmean(queued for at, _, queued in self._counts if at > since),
            "aggregated_metrics": {name: {id(one): told[name] for one, told in means.items()} for name in names},
        }

    def _scale(self) -> None:
        there = [one for one in self._replicas if not one.leaving]
        target = len(there) + self._starting
        ctx = SimpleNamespace(
            deployment_name="model",
            config=self._scaling,
            capacity_adjusted_max_replicas=self._scaling.max_replicas,
            policy_state=self._state,
            current_num_replicas=len(there),
            target_num_replicas=target,
            **self._reported,
        )
        wanted, self._state = self._decide(cast("Any", ctx))
        wanted = min(self._scaling.max_replicas, max(self._scaling.min_replicas, math.ceil(wanted)))
        for _ in range(wanted - target):
            self._starting += 1
            self._at(self.now + _REPLICA_S, self._come)
        for replica in there[: max(0, target - wanted)]:
            replica.leaving = True
            if not replica.batches and not replica.busy:
                self._replicas.remove(replica)

    def _come(self) -> None:
        self._starting -= 1
        self._replicas.append(self._new_replica())
        self._dispatch()

    def _new_replica(self) -> _Replica:
        return _Replica(autoscaling.Load(clock=lambda: self.now))


def main() -> None:
    """Compare the signals for several numbers of ingress replicas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--ingress", type=int, nargs="*", default=[1, 2, 4, 8])
    asked = parser.parse_args()
    day = Day(asked.minutes * 60)
    rows = [(name, count, *_row(day, count, name)) for count in asked.ingress for name in _SIGNALS]
    parts = ("steady", "burst", "burst, 2nd half")
    latencies = [f"{kind} p99 s, {part}" for kind in ("search", "upsert") for part in parts]
    head = ("signal", "ingress replicas", *latencies, "over 30 s", "most replicas", "GPU time to ideal")
    tables.show("Signals, in virtual time", head, rows)


def _row(day: Day, ingress: int, signal: str) -> tuple[object, ...]:
    kinds = (Kind("search", "", 2.0, 1, 8), Kind("upsert", "", 1.9, 8, 40))
    tokens = {kind.name: traffic.tokens_of(kind, "") for kind in kinds}
    made = config.serve_config(1, 2, day.seconds)["applications"][0]["deployments"]
    settings = SimpleNamespace(
        live=LiveSettings(IngressSettings.model_validate(made[0]["user_config"])),
        budget=made[1]["user_config"]["token_budget"],
        scaling=AutoscalingConfig(**made[1]["autoscaling_config"]),
    )
    cluster = _Cluster(day, ingress, settings, _SIGNALS[signal])
    characters = {kind.name: round(traffic.characters_of(kind)) for kind in kinds}
    cluster.run(kinds, tokens, characters)
    needed = sum(
        max(1, math.ceil(sum(day.rate(kind, at) * tokens[kind.name] for kind in kinds) / gpu.REPLICA_TOKENS_A_SECOND))
        for at in np.arange(0, day.seconds, _TICK_S)
    )
    figures = [_p99(cluster, day, *where) for where in itertools.product(("search", "upsert"), _PARTS)]
    late = sum(seconds > config.REQUEST_TIMEOUT_S for _, seconds in cluster.done)
    return (*figures, late, cluster.most, cluster.held_s * _TICK_S / needed)


_PARTS = (("plateau", 0.5), ("burst", 0.0), ("burst", 0.5))


def _p99(cluster: _Cluster, day: Day, kind: str, part: tuple[str, float]) -> float:
    start, end = day.bounds(part[0])
    start += part[1] * (end - start)
    seconds = [took for one, took in cluster.done if one.kind.name == kind and start <= one.at < end]
    return float(np.percentile(seconds, 99))


if __name__ == "__main__":
    main()
