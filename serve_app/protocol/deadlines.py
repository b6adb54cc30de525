"""For how long a request is worked on: what its caller asked for, and what is left of it.

Qdrant's own parameter is `timeout`, in whole seconds: in the query of a URL, or a field of a gRPC message.
"""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache
from typing import NamedTuple

from deployments.errors import DeadlineExceeded

_TIMEOUT = re.compile(r"(?:^|(?<=&))timeout=([0-9]{1,9})(?=&|$)")
"""What is no number is left to Qdrant to refuse."""


class TimeLimit(NamedTuple):
    """For how long Qdrant is waited for.

    Its answer has to begin before `until` (of `time.monotonic()`), and meanwhile, and afterwards until its end, there
    may be no more than `idle_timeout_s` seconds in which nothing moves in either direction.
    """

    until: float = math.inf
    idle_timeout_s: float = math.inf

    @property
    def left_s(self) -> float:
        """Seconds in which an answer that comes in one piece has to be there."""
        return min(self.until - time.monotonic(), self.idle_timeout_s)

    @property
    def whole_seconds_left(self) -> int:
        """The seconds that are left as Qdrant counts them: whole ones, and at least one.

        Raises:
            DeadlineExceeded: none are left.
        """
        left_s = self.left_s
        if left_s <= 0:
            raise _over()
        return max(1, math.ceil(left_s))

    def or_within(self, seconds: float) -> TimeLimit:
        """The same limit, or one that ends in so many seconds if it had no end."""
        return self if self.until < math.inf else TimeLimit(time.monotonic() + seconds, self.idle_timeout_s)


UNLIMITED = TimeLimit()


def from_now(asked_s: int, idle_timeout_s: float) -> TimeLimit:
    """The limit of a request that begins now, whose caller asked for so many seconds, or for none (0)."""
    if not asked_s:
        return _without_end(idle_timeout_s)
    return TimeLimit(time.monotonic() + asked_s, max(idle_timeout_s, asked_s))


@lru_cache(maxsize=8)
def _without_end(idle_timeout_s: float) -> TimeLimit:
    return TimeLimit(idle_timeout_s=idle_timeout_s)


def asked_in_query(query: str) -> int:
    """How many seconds a caller wants to wait; 0 if it does not say."""
    asked = _TIMEOUT.findall(query) if query else None
    return int(asked[-1]) if asked else 0


def with_seconds_left(query: str, limit: TimeLimit) -> str:
    """The query with what is left of the time that it asks for; one that asks for none stays as it is.

    Raises:
        DeadlineExceeded: nothing is left.
    """
    if query:
        return _TIMEOUT.sub(f"timeout={limit.whole_seconds_left}", query)
    if limit.until <= time.monotonic():
        raise _over()
    return ""


def _over() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time was over before Qdrant was asked; nothing was sent to it")
