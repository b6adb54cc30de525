"""Counting in plain Python, and what of it Prometheus is told."""

from __future__ import annotations

import pytest

from deployments.metrics import export, instruments
from deployments.metrics.instruments import Counter, Gauge, Histogram


@pytest.fixture(autouse=True)
def only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruments, "METRICS", [])


def told(metric: Counter | Gauge | Histogram) -> dict[str, float]:
    return {f"{name.removeprefix(instruments.PREFIX)} {labels}": value for name, labels, value in metric.samples()}


def test_a_counter_adds_up_for_each_set_of_labels() -> None:
    counter = Counter("things", ("kind",), "things", "")
    counter.add(1, "a")
    counter.add(2.5, "a")
    counter.add(1, "b")
    assert told(counter) == {"things_total {'kind': 'a'}": 3.5, "things_total {'kind': 'b'}": 1}


def test_a_gauge_keeps_the_last_value() -> None:
    gauge = Gauge("level", (), "m", "")
    gauge.set(1)
    gauge.set(0)
    assert told(gauge) == {"level {}": 0}


def test_a_histogram_counts_up_to_each_bound_and_sums_exactly() -> None:
    histogram = Histogram("took_seconds", ("stage",), "seconds", "", (0.1, 1.0))
    for value in (0.1, 0.10001, 5.0):
        histogram.observe(value, "run")
    assert told(histogram) == {
        "took_seconds_bucket {'stage': 'run', 'le': '0.1'}": 1,
        "took_seconds_bucket {'stage': 'run', 'le': '1.0'}": 2,
        "took_seconds_bucket {'stage': 'run', 'le': '+Inf'}": 3,
        "took_seconds_sum {'stage': 'run'}": pytest.approx(5.20001),
        "took_seconds_count {'stage': 'run'}": 3,
    }


@pytest.mark.parametrize("metric", [Counter("a", ("x",), "", ""), Gauge("b", (), "", "")])
def test_what_is_exported_is_what_was_announced(metric: Counter | Gauge) -> None:
    getattr(metric, "add", getattr(metric, "set", None))(1, *metric.labels)
    ((name, labels),) = metric.exported
    assert [(sample.name, tuple(sample.labels)) for sample in metric.samples()] == [(name, labels)]


def test_every_metric_is_registered_once_with_a_unit_and_a_meaning() -> None:
    metric = Counter("one", (), "things", "what it counts")
    assert [metric] == instruments.METRICS


def test_without_ray_nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(export.sys.modules, "ray", raising=False)
    stop = export.start(pytest.fail)
    stop()
