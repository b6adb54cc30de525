"""The signal by which models are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.autoscaling import Load, by_requests, replicas
from deployments.metrics.autoscaling import MAXIMUM, WANTED


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def asked_after(seconds: float, load: Load, clock: Clock, waiting: int = 0, streams: int = 1) -> dict[str, float]:
    clock.now += seconds
    return load.read(waiting, streams)


def context(*told: tuple[float, float], target: int = 3, queued: float = 0, batches_s: Sequence[float] = ()) -> Any:
    """What Serve knows of a model whose replicas have `told` their busy share and backlog."""
    busy, backlog = ({number: pair[place] for number, pair in enumerate(told)} for place in (0, 1))
    metrics = {"busy": busy, "backlog_s": backlog, "batch_s": dict(enumerate(batches_s))} if told else {}
    return SimpleNamespace(
        deployment_name="m",
        aggregated_metrics=metrics,
        target_num_replicas=target,
        total_queued_requests=queued,
        capacity_adjusted_max_replicas=4,
    )


def test_a_replica_tells_the_share_of_its_time_that_it_worked() -> None:
    clock = Clock()
    load = Load(clock)
    load.worked(1.0, 100, [100])
    load.worked(1.0, 100, [100])
    assert asked_after(4.0, load, clock)["busy"] == 0.5
    assert asked_after(4.0, load, clock)["busy"] == 0


def test_two_streams_that_always_run_are_one_busy_replica() -> None:
    clock = Clock()
    load = Load(clock)
    load.worked(4.0, 100, [100])
    load.worked(4.0, 100, [100])
    assert asked_after(4.0, load, clock, streams=2)["busy"] == 1


def test_what_waits_takes_as_long_as_the_tokens_before_it_took() -> None:
    clock = Clock()
    load = Load(clock)
    load.worked(2.0, 100, [100])
    assert asked_after(4.0, load, clock, waiting=50)["backlog_s"] == 1.0
    assert asked_after(4.0, load, clock, waiting=100)["backlog_s"] == 2.0, "also where nothing ran since"


def test_a_batch_takes_as_long_as_its_tokens_also_where_it_runs_in_parts() -> None:
    clock = Clock()
    load = Load(clock)
    load.worked(1.0, 100, [300])
    load.worked(1.0, 100, [])
    load.worked(1.0, 100, [])
    load.worked(1.0, 100, [100])
    assert asked_after(8.0, load, clock)["batch_s"] == 2.0
    assert asked_after(8.0, load, clock, streams=2)["batch_s"] == 2.0, "also where nothing ran since"


def test_a_replica_that_never_worked_has_no_backlog() -> None:
    clock = Clock()
    assert asked_after(1.0, Load(clock), clock, waiting=1000) == {
        "busy": 0.0,
        "backlog_s": 0.0,
        "batch_s": 0.0,
    }


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ([(0.0, 0.0)], 0.0),
        ([(0.4, 0.0)], 0.5),
        ([(0.8, 0.0), (0.8, 0.0)], 2.0),
        ([(1.0, 0.0)] * 8, 10.0),
        ([(1.0, 40.0)], 5.0),
    ],
)
def test_replicas_are_busy_for_eight_tenths_and_work_off_what_waits(
    told: list[tuple[float, float]], wanted: float
) -> None:
    assert replicas(context(*told))[0] == pytest.approx(wanted)


def test_batches_for_which_no_replica_has_a_place_count_with_the_work_of_a_usual_one() -> None:
    assert replicas(context((1.0, 10.0), (1.0, 10.0), queued=40, batches_s=[0.4, 0.6]))[0] == pytest.approx(6)
    just_started = context((1.0, 10.0), (0.0, 0.0), queued=40, batches_s=[0.5, 0.0])
    assert replicas(just_started)[0] == pytest.approx(4)
    assert replicas(context((0.8, 0.0), queued=40, batches_s=[0.0]))[0] == pytest.approx(1), "nobody knows their work"


def test_a_model_that_does_nothing_goes_to_zero() -> None:
    from ray.serve import autoscaling_policy  # noqa: PLC0415
    from ray.serve.config import AutoscalingConfig  # noqa: PLC0415

    decide = autoscaling_policy._apply_autoscaling_config(replicas)
    idle = context((0.0, 0.0), target=1)
    idle.config = AutoscalingConfig(min_replicas=0, max_replicas=4, downscale_to_zero_delay_s=0)
    idle.current_num_replicas, idle.total_num_requests, idle.policy_state = 1, 0.0, {}
    assert decide(idle)[0] == 0


def test_as_long_as_nobody_tells_anything_all_stays_as_it_is() -> None:
    assert replicas(context(target=3))[0] == 3


def test_what_is_wanted_beyond_the_maximum_is_told() -> None:
    assert replicas(context((1.0, 50.0)))[0] == 6
    assert (WANTED.values["m",], MAXIMUM.values["m",]) == (6, 4)


def test_requests_under_way_scale_as_serves_own_policy_does_and_are_told() -> None:
    from ray.serve.config import AutoscalingConfig  # noqa: PLC0415

    busy = context()
    busy.config, busy.policy_state = AutoscalingConfig(target_ongoing_requests=48), {}
    busy.current_num_replicas, busy.total_num_requests = 4, 250.0
    assert by_requests(busy)[0] == pytest.approx(250 / 48)
    assert WANTED.values["m",] == 6


def test_serve_takes_the_policy_with_its_bounds_and_delays() -> None:
    from ray.serve.config import AutoscalingConfig  # noqa: PLC0415

    policy = {"policy_function": "deployments.autoscaling:replicas"}
    config = AutoscalingConfig(min_replicas=0, max_replicas=4, policy=policy)
    WANTED.values.clear()
    assert config.policy.get_policy()(context((0.8, 0.0)))[0] == pytest.approx(1)
    assert WANTED.values["m",] == 1, "also when Ray has handed the module on by value"
