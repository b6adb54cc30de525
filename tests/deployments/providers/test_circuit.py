"""Who need not be asked just now."""

from __future__ import annotations

import pytest

from deployments.errors import ModelUnavailable, Overloaded
from deployments.providers.circuit import Circuits, who
from deployments.providers.settings import ProvidersSettings

SETTINGS = ProvidersSettings(failures=2, pause_s=10)
OURS, OTHERS = who("http://p", "key"), who("http://p", "another")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_after_some_failures_nobody_is_sent_there_for_a_while_and_then_one_tries() -> None:
    circuits = Circuits(clock := Clock())
    for _ in range(2):
        circuits.check(OURS, "m", SETTINGS)
        circuits.failed(OURS, SETTINGS)
    with pytest.raises(ModelUnavailable) as caught:
        circuits.check(OURS, "m", SETTINGS)
    assert caught.value.retry_after == 10
    circuits.check(OTHERS, "m", SETTINGS)
    clock.now += 11
    circuits.check(OURS, "m", SETTINGS)
    with pytest.raises(ModelUnavailable):
        circuits.check(OURS, "m", SETTINGS)
    circuits.answered(OURS)
    circuits.check(OURS, "m", SETTINGS)


def test_a_failure_in_between_answers_closes_nothing() -> None:
    circuits = Circuits(Clock())
    for _ in range(5):
        circuits.failed(OURS, SETTINGS)
        circuits.answered(OURS)
    circuits.check(OURS, "m", SETTINGS)


def test_who_was_told_when_to_come_back_is_told_so_until_then() -> None:
    circuits = Circuits(clock := Clock())
    circuits.limited(OURS, 30)
    with pytest.raises(Overloaded) as caught:
        circuits.check(OURS, "m", SETTINGS)
    assert caught.value.retry_after == 30
    circuits.check(OTHERS, "m", SETTINGS)
    clock.now += 31
    circuits.check(OURS, "m", SETTINGS)


def test_keys_that_callers_make_up_fill_no_memory_and_are_not_in_it() -> None:
    circuits = Circuits(Clock())
    for number in range(10_000):
        circuits.failed(who("http://p", f"marker-{number}"), SETTINGS)
    assert len(circuits) <= 4096
    assert "marker" not in repr(vars(circuits))
