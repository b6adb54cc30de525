"""How much work may wait for a model: a bound in tokens, whatever number of requests they come in.

A request is admitted whole or not at all, and gives its place back when it is done, fails, or is given up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from deployments.errors import Overloaded
from serve_app.inference.plan import Group
from serve_app.inference.token_estimates import estimated_tokens

_MEMORY_S = 10.0
"""Over how long the rate is averaged."""

_LONGEST_WAIT_S = 60.0


class Backlog:
    """What waits for one model, in tokens, and how many of them are done in a second."""

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self.model = model
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
        self.outside = 0
        """Requests that wait for external providers."""

    def admitted(self, groups: Sequence[Group], queue_tokens: int, provider_requests: float = math.inf) -> Places:
        """The places of a request's work, held for as long as the context is open.

        At most `queue_tokens` wait for a model; a request that is larger by itself is let in if nothing else waits. At
        most `provider_requests` wait for external providers, which may be slow and take the places of others.
        """
        return Places(self, groups, queue_tokens, provider_requests)

    def waiting(self) -> dict[str, int]:
        """How many tokens wait for each model, as they were estimated."""
        return {model: backlog.waiting for model, backlog in self._backlogs.items()}

    def backlog(self, model: str) -> Backlog:
        """What waits for a model."""
        if model not in self._backlogs:
            self._backlogs[model] = Backlog(model, self._clock)
        return self._backlogs[model]


class Places:
    """A context: the places of one request's work."""

    __slots__ = ("_admission", "_groups", "_is_outside", "_provider_requests", "_queue_tokens", "_work")

    def __init__(
        self, admission: Admission, groups: Sequence[Group], queue_tokens: int, provider_requests: float
    ) -> None:
        self._admission = admission
        self._groups = groups
        self._queue_tokens = queue_tokens
        self._provider_requests = provider_requests

    def __enter__(self) -> None:
        """Take them.

        Raises:
            Overloaded: some model has no place for its part, and says when it will have; none is taken then.
        """
        admission = self._admission
        self._work = [(admission.backlog(model), tokens) for model, tokens in estimated_tokens(self._groups).items()]
        for backlog, tokens in self._work:
            if backlog.waiting and backlog.waiting + tokens > self._queue_tokens:
                raise Overloaded(
                    f"{backlog.waiting} tokens wait for {backlog.model}; with {tokens} more there would be over "
                    f"{self._queue_tokens}",
                    retry_after=backlog.seconds,
                )
        self._is_outside = bool([group for group in self._groups if group.card.provider])
        if self._is_outside and admission.outside >= self._provider_requests:
            raise Overloaded(f"{admission.outside} requests wait for external providers (provider_requests)")
        for backlog, tokens in self._work:
            backlog.waiting += tokens
        admission.outside += self._is_outside

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give them back."""
        self._admission.outside -= self._is_outside
        for backlog, tokens in self._work:
            backlog.waiting -= tokens
            if kind is None:
                backlog.done(tokens)
