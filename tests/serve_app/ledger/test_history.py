"""What the console shows of the last three minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_app.ledger.history import _MOST_MODELS, SPAN_S, STEP_S, History
from serve_app.ledger.live_rates import WHOLE, LastMinute, Moment


def snapshot(now: float, **tokens: int) -> Sequence[Any]:
    minute = LastMinute()
    minute.add(now, {model: Moment(1, count) for model, count in {**tokens, WHOLE: sum(tokens.values())}.items()})
    return [minute.snapshot(now, {})]


def test_there_is_a_look_every_two_seconds() -> None:
    history = History()
    for tenth in range(0, 100, 6):
        now = 1000 + tenth / 10
        history.note(now, lambda now=now: snapshot(now, m=10))
    columns = history.columns(1010)
    assert columns["times"] == [1000.0, 1002.4, 1004.8, 1007.2, 1009.6]
    assert columns["models"] == {"m": [1.0] * 5}
    assert columns["total"]["tokens_per_s"] == [1.0] * 5


def test_a_model_that_came_later_did_nothing_before() -> None:
    history = History()
    history.note(0, lambda: snapshot(0, a=10))
    history.note(STEP_S, lambda: snapshot(STEP_S, b=10))
    assert history.columns(3)["models"] == {"a": [1.0, 0.0], "b": [0.0, 1.0]}


def test_neither_time_nor_models_go_on_for_ever() -> None:
    history = History()
    for step in range(400):
        now = step * STEP_S
        history.note(now, lambda now=now: snapshot(now, **{f"m{n}": n for n in range(200)}))
    columns = history.columns(now)
    assert columns["times"][0] >= now - SPAN_S
    assert len(columns["times"]) <= SPAN_S / STEP_S
    assert len(columns["models"]) == _MOST_MODELS
    assert "m199" in columns["models"]
    assert history.columns(now + SPAN_S + 1)["times"] == []


def test_a_clock_that_is_put_back_does_not_stop_it() -> None:
    history = History()
    history.note(1000, lambda: snapshot(1000))
    history.note(500, lambda: snapshot(500))
    assert history.columns(501)["times"] == [500.0]
