"""Answers that come late, or never."""

from __future__ import annotations

import asyncio
import time

import pytest

from serve_app.cluster.cached import Cached


class Question:
    """Answers how often it was asked; `go_on` lets it."""

    def __init__(self) -> None:
        self.times = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self) -> int:
        self.times += 1
        await self.go_on.wait()
        return self.times


async def test_an_answer_is_kept_for_a_while() -> None:
    question = Question()
    cached = Cached(question, 0, kept_s=0.05, patience_s=1)
    assert [await cached.read() for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(0.06)
    assert await asyncio.gather(*(cached.read() for _ in range(3))) == [2, 2, 2]


async def test_nobody_waits_for_long_and_a_late_answer_is_taken_all_the_same() -> None:
    question = Question()
    question.go_on.clear()
    cached = Cached(question, 0, kept_s=60, patience_s=0.05)
    began = time.monotonic()
    assert [await cached.read() for _ in range(2)] == [0, 0]
    assert time.monotonic() - began < 1
    question.go_on.set()
    assert await cached.read() == 1
    assert question.times == 1


async def test_where_the_question_fails_the_last_answer_stays(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([1])

    async def ask() -> int:
        return next(answers, None) or {}["no answer"]

    cached = Cached(ask, 0, kept_s=0, patience_s=1)
    assert [await cached.read() for _ in range(3)] == [1, 1, 1]
    assert "failed: KeyError" in caplog.text
