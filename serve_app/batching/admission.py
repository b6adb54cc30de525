"""How much work may wait for a model: a bound in tokens, whatever number of requests they come in.

A request is admitted whole or not at all, and gives its place back when it is done, fails, or is given up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from deployments.errors import Overloaded
from serve_app.inference.plan import Group
from serve_app.inference.token_estimates import estimated_tokens

_MEMORY_S = 10.0
"""Over how long the rate is averaged."""

_LONGEST_WAIT_S = 60.0


class Backlog:
    """What waits for one model, in tokens, and how many of them are done in a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.waiting = 0
        self._clock = clock
        self._rate = 0.0
        self._counted_at = clock()

    def done(self, tokens: int) -> None:
        """Count work that was finished: each token for less, the longer ago (an exponential average)."""
        now = self._clock()
        self._rate = self._rate * math.exp((self._counted_at - now) / _MEMORY_S) + tokens / _MEMORY_S
        self._counted_at = now

    @property
    def seconds(self) -> float:
        """How long the waiting work will take at the current rate."""
        return min(_LONGEST_WAIT_S, self.waiting / max(self._rate, 1.0))


class Admission:
    """The backlogs of all models."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._backlogs: dict[str, Backlog] = {}
        self._outside = 0

    @contextmanager
    def admitted(
        self, groups: Sequence[Group], queue_tokens: int, provider_requests: float = math.inf
    ) -> Iterator[None]:
        """Hold the places of a request's work for as long as the context is open.

        At most `queue_tokens` wait for a model; a request that is larger by itself is let in if nothing else waits. At
        most `provider_requests` wait for external providers, which may be slow and take the places of others.

        Raises:
            Overloaded: some model has no place for its part; says when it will have.
        """
        work = estimated_tokens(groups)
        self._check(work, queue_tokens)
        outside = any(group.card.provider for group in groups)
        if outside and self._outside >= provider_requests:
            raise Overloaded(f"{self._outside} requests wait for external providers (provider_requests)")
        for model, tokens in work.items():
            self._backlog(model).waiting += tokens
        self._outside += outside
        try:
            yield
            for model, tokens in work.items():
                self._backlog(model).done(tokens)
        finally:
            self._outside -= outside
            for model, tokens in work.items():
                self._backlog(model).waiting -= tokens

    def waiting(self) -> dict[str, int]:
        """How many tokens wait for each model, as they were estimated."""
        return {model: backlog.waiting for model, backlog in self._backlogs.items()}

    def _check(self, work: Mapping[str, int], queue_tokens: int) -> None:
        for model, tokens in work.items():
            backlog = self._backlog(model)
            if backlog.waiting and backlog.waiting + tokens > queue_tokens:
                raise Overloaded(
                    f"{backlog.waiting} tokens wait for {model}; with {tokens} more there would be over {queue_tokens}",
                    retry_after=backlog.seconds,
                )

    def _backlog(self, model: str) -> Backlog:
        backlog = self._backlogs.get(model)
        if backlog is None:
            backlog = self._backlogs[model] = Backlog(self._clock)
        return backlog
