from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from serve_app.ledger import live_rates
from serve_app.ledger.live_rates import WHOLE, Figures, LastMinute, Moment


def moment(seconds: list[float], tokens: int = 10) -> Moment:
    made = Moment()
    for each in seconds:
        made.add(tokens, each)
    return made


def test_rates_are_of_the_last_ten_seconds_and_latencies_of_the_last_minute() -> None:
    minute = LastMinute()
    minute.add(100.0, {"m": moment([1.0])})
    minute.add(130.0, {"m": moment([0.01] * 3)})
    figures = live_rates.by_model([minute.snapshot(135.0, {})])["m"]
    assert (figures.tokens_per_s, figures.requests_per_s) == (3.0, 0.3)
    assert figures.p95_ms == pytest.approx(1000, rel=0.1)
    minute.add(161.0, {})
    assert live_rates.by_model([minute.snapshot(161.0, {})])["m"].p95_ms == pytest.approx(10, rel=0.1)
    minute.add(200.0, {})
    assert minute.snapshot(200.0, {}) == {}


def test_percentiles_are_exact_to_a_tenth_also_over_several_replicas() -> None:
    seconds = np.random.default_rng(7).lognormal(-4, 1, 5000)
    replicas = []
    for part in np.split(seconds, 5):
        minute = LastMinute()
        minute.add(1.0, {"m": moment(part.tolist())})
        replicas.append(json.loads(json.dumps(minute.snapshot(2.0, {}))))  # as it goes through the database
    figures = live_rates.by_model(replicas)["m"]
    assert figures.p50_ms == pytest.approx(float(np.percentile(seconds, 50)) * 1000, rel=0.1)
    assert figures.p95_ms == pytest.approx(float(np.percentile(seconds, 95)) * 1000, rel=0.1)
    assert figures.requests_per_s == 500


def test_requests_as_a_whole_count_once_and_have_their_own_latency() -> None:
    minute = LastMinute()
    minute.add(1.0, {"a": moment([0.1]), "b": moment([0.3]), WHOLE: moment([0.3], tokens=20)})
    replicas = [minute.snapshot(2.0, {})] * 2
    assert (live_rates.total(replicas).tokens_per_s, live_rates.total(replicas).requests_per_s) == (4.0, 0.2)
    assert live_rates.total(replicas).p50_ms == pytest.approx(300, rel=0.1)
    assert live_rates.by_model(replicas).keys() == {"a", "b"}


def test_without_requests_there_are_no_latencies() -> None:
    assert live_rates.total([]) == Figures()


def test_a_request_that_took_no_time_has_a_latency() -> None:
    minute = LastMinute()
    minute.add(1.0, {WHOLE: moment([0.0])})
    assert live_rates.total([minute.snapshot(1.0, {})]).p50_ms == pytest.approx(0.1, rel=0.1)


def test_latencies_are_those_of_the_moments_that_are_not_older_than_a_minute() -> None:
    chance = np.random.default_rng(5)
    minute, kept, now = LastMinute(), [], 0.0
    for _ in range(200):
        now += float(chance.choice([0.6, 3.0, 20.0]))
        moments = {name: moment(chance.lognormal(-4, 1, 3).tolist()) for name in "abc" if chance.random() < 0.5}
        minute.add(now, moments)
        kept = [(ended, one) for ended, one in [*kept, (now, moments)] if ended > now - 60.0]
        snapshot = minute.snapshot(now, {})
        assert snapshot.keys() == {name for _, one in kept for name in one}
        for name in snapshot:
            ours: Counter[str] = Counter()
            for _, one in kept:
                if name in one:
                    ours.update({str(bucket): count for bucket, count in one[name].buckets.items()})
            assert snapshot[name]["ms"] == ours
