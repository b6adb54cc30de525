"""How long a request may take: what its caller asked for, in Qdrant's words, and what is left of it."""

from __future__ import annotations

import math
import time

import pytest

from deployments.errors import DeadlineExceeded
from serve_app.protocol import deadlines
from serve_app.protocol.deadlines import UNLIMITED, TimeLimit


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", 0),
        ("timeout=7", 7),
        ("wait=true&timeout=7&a=b", 7),
        ("timeout=7&timeout=9", 9),
        ("xtimeout=7", 0),
        ("timeout=", 0),
        ("timeout=7s", 0),
        ("timeout=" + "9" * 10, 0),
    ],
)
def test_what_a_query_asks_for(query: str, seconds: int) -> None:
    assert deadlines.asked_in_query(query) == seconds


def test_a_caller_may_have_more_patience_than_the_configuration() -> None:
    assert deadlines.from_now(0, 40.0) == TimeLimit(math.inf, 40.0)
    asked = deadlines.from_now(200, 40.0)
    assert asked.idle_timeout_s == 200
    assert asked.left_s == pytest.approx(200, abs=5)


def test_only_a_limit_without_end_gets_another() -> None:
    ends = TimeLimit(time.monotonic() + 1000)
    assert ends.or_within(5) == ends
    assert UNLIMITED.or_within(5).left_s <= 5


def test_what_is_left_is_told_to_qdrant_in_whole_seconds_and_at_least_one() -> None:
    limit = TimeLimit(time.monotonic() + 1000.5)
    assert deadlines.with_seconds_left("a=1&timeout=2000&b", limit) == f"a=1&timeout={limit.whole_seconds_left}&b"
    assert 900 < limit.whole_seconds_left <= 1001
    assert deadlines.with_seconds_left("a=%20", limit) == "a=%20"
    assert TimeLimit(time.monotonic() + 60, 0.1).whole_seconds_left == 1


def test_nothing_is_sent_when_nothing_is_left() -> None:
    with pytest.raises(DeadlineExceeded):
        deadlines.with_seconds_left("timeout=1", TimeLimit(time.monotonic() - 1))
