"""How many replicas a model needs: by how busy they are, and by how much work waits for them.

Ray Serve's own signal, requests under way, counts batches here. Of those, every ingress replica keeps some under way
even if the model could take all of their inputs at once, so that the signal grows with the number of ingress
replicas and not with the work. docs/scaling.md has the comparison.

A Serve config file names it: `autoscaling_config: {policy: {policy_function: deployments.autoscaling:replicas}}`.
Ray hands this module to Serve's controller by value: what is kept here in a variable would be another one there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from deployments.metrics import autoscaling

_BUSY, _BACKLOG, _BATCH = "busy", "backlog_s", "batch_s"

_TARGET = 0.8
"""Of its time that a replica should be busy: the rest is for what comes unevenly."""

_PATIENCE_S = 10.0
"""Within which the replicas should have worked off what waits."""


class Load:
    """How much a replica has worked since it was asked last, and how long what waits and a usual batch will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = clock()
        self._seconds = 0.0
        self._tokens = 0
        self._batches: list[int] = []
        self._seconds_a_token = 0.0
        self._tokens_a_batch = 0.0

    def worked(self, seconds: float, tokens: int, batches: Sequence[int]) -> None:
        """One run is done; called under the lock of those who run.

        `batches` has the tokens of each batch that began with this run, those included that are left for later runs.
        """
        self._seconds += seconds
        self._tokens += tokens
        self._batches += batches

    def read(self, waiting_tokens: int, streams: int) -> dict[str, float]:
        """The share of its time that the replica was busy, and the seconds that its waiting tokens and a batch take.

        `streams` runs may go on at the same time.
        """
        now = self._clock()
        if self._tokens:
            self._seconds_a_token = self._seconds / self._tokens / streams
        if self._batches:
            self._tokens_a_batch = fmean(self._batches)
        busy = self._seconds / streams / max(now - self._asked_at, 1e-3)
        self._asked_at, self._seconds, self._tokens, self._batches = now, 0.0, 0, []
        return {
            _BUSY: busy,
            _BACKLOG: waiting_tokens * self._seconds_a_token,
            _BATCH: self._tokens_a_batch * self._seconds_a_token,
        }


def replicas(context: Any) -> tuple[float, dict[str, Any]]:
    """How many replicas are needed; Ray Serve calls it, and applies bounds and delays to the answer.

    So many that they are busy for 80% of their time, and that what waits is worked off within ten seconds: tokens in
    the replicas, and the batches before them, for which none has a place yet. `context` is Ray's `AutoscalingContext`.
    If no replica has told anything yet, all stays as it is.
    """
    told = context.aggregated_metrics or {}
    return _wanted(_needed(told, context) if told.get(_BUSY) else context.target_num_replicas, context), {}


def by_requests(context: Any) -> tuple[float, dict[str, Any]]:
    """Ray Serve's own policy, for deployments of which a request is one: `target_ongoing_requests` for each replica."""
    from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy  # noqa: PLC0415  takes seconds

    needed, state = replica_queue_length_autoscaling_policy(context)
    return _wanted(needed, context), state


def _needed(told: dict[str, dict[Any, float]], context: Any) -> float:
    busy, backlog_s = (sum(told[name].values()) for name in (_BUSY, _BACKLOG))
    batches_s = [seconds for seconds in told[_BATCH].values() if seconds]  # 0: one that has just started
    if batches_s:
        backlog_s += context.total_queued_requests * fmean(batches_s)
    return max(busy / _TARGET, busy + backlog_s / _PATIENCE_S)


def _wanted(replicas: float, context: Any) -> float:
    autoscaling.tell(context.deployment_name, replicas, context.capacity_adjusted_max_replicas)
    return replicas
