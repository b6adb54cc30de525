"""The parts of the simulation that need no cluster."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import tables
from benchmarks.simulation import config, extrapolation, gpu, result, signals, traffic
from benchmarks.simulation.day import PEAK, PHASES, Arrival, Day, Kind
from benchmarks.simulation.result import Probe, Result, Sample, Target
from benchmarks.simulation.traffic import Log, Sent
from deployments.catalogue import catalogue
from deployments.catalogue.catalogue import HOME
from deployments.contract import Batch

DAY = Day(100.0)
SEARCH = Kind("search", config.ALWAYS_THERE, rate=1.0, texts=1, words=8)
RARE = Kind("rare", config.FROM_ZERO, rate=1.0, texts=1, words=8, all_day=False)
NAMES = [config.name_of(model) for model in result.MODELS]


def test_the_phases_fill_the_day() -> None:
    assert sum(phase.share for phase in PHASES) == pytest.approx(1)


def test_the_peak_is_twenty_times_the_base_and_comes_in_one_step() -> None:
    start, end = DAY.bounds("burst")
    before = DAY.factor(start - 1e-6)
    assert before < PEAK == DAY.factor(start) == DAY.factor(end - 1e-6)
    assert DAY.factor(0) == DAY.factor(DAY.seconds) == 1


def test_the_ramp_has_no_steps() -> None:
    moments = np.linspace(*DAY.bounds("ramp"), 100)
    assert np.abs(np.diff([DAY.factor(moment) for moment in moments])).max() < 0.2


def test_as_many_requests_come_as_the_rate_says_and_the_same_on_every_run() -> None:
    day = Day(1000.0)
    came = list(day.arrivals([SEARCH]))
    wanted = np.mean([day.rate(SEARCH, moment) for moment in np.arange(0, 1000, 0.5)]) * 1000
    assert len(came) == pytest.approx(wanted, rel=0.05)
    assert came == list(day.arrivals([SEARCH]))
    assert [arrival.at for arrival in came] == sorted(arrival.at for arrival in came)


def test_a_model_that_starts_from_zero_is_not_asked_at_night() -> None:
    start, end = DAY.bounds("ramp")[0], DAY.bounds("evening")[1]
    moments = [arrival.at for arrival in DAY.arrivals([RARE])]
    assert moments
    assert start < min(moments) <= max(moments) < end


def test_a_gpu_that_is_made_up_takes_the_time_of_the_padded_tokens() -> None:
    model = gpu.SleepingFamily(catalogue.load("configs/models/qdrant-cloud.yaml").find(config.ALWAYS_THERE, ""))
    prepared = model.prepare(Batch(["x" * 4 * 98, "x" * 4 * 28], "update"))
    assert prepared.tokens.tolist() == [100, 30]
    began = time.perf_counter()
    assert len(model.run(prepared, np.array([0, 1]))) == 2
    seconds = time.perf_counter() - began
    assert seconds >= gpu.CHUNK_S + 2 * 100 / gpu.REPLICA_TOKENS_A_SECOND


def test_the_config_keeps_the_signal_of_the_file_that_is_shipped() -> None:
    shipped = yaml.safe_load((HOME / "configs" / "serve-gpu.yaml").read_text())["applications"][0]["deployments"]
    by_name = {entry["name"]: entry for entry in shipped}
    made = config.serve_config(1, 2, day_s=420)["applications"][0]["deployments"]
    assert [entry["name"] for entry in made] == ["Ingress", *NAMES, config.name_of(config.TOO_LARGE)]
    for entry in made[1:]:
        for key in ("min_replicas", "policy", "look_back_period_s", "upscale_delay_s"):
            assert entry["autoscaling_config"][key] == by_name[entry["name"]]["autoscaling_config"][key], key


def test_the_config_passes_rays_schema(tmp_path: Path) -> None:
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415

    assert ServeDeploySchema.model_validate(config.serve_config(6333, 6334, day_s=420)).applications


async def test_a_connection_that_was_closed_while_it_was_idle_loses_no_request() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    kind = Kind("search", "a", 1.0, 1, 5)
    server = await asyncio.start_server(once, "127.0.0.1", 0)
    arrivals = [Arrival(at, kind) for at in (0.0, 0.1, 0.2)]
    log = await traffic.send_all(server.sockets[0].getsockname()[1], arrivals, [kind])
    server.close()
    assert [sent.status for sent in log.sent] == [200, 200, 200]


def test_a_request_has_as_many_texts_as_its_kind() -> None:
    upsert = Kind("upsert", "m", rate=1, texts=3, words=5)
    (first, *_) = traffic.texts_of(upsert)
    assert [len(text.split()) for text in first] == [5, 5, 5]
    assert traffic.request(upsert, first).count(b'"model":"m"') == 3
    assert traffic.request(upsert, first).startswith(b"PUT ")
    assert traffic.request(SEARCH, first[:1]).startswith(b"POST ")


def course(sent: Sequence[Sent] = (), replicas: int = 1) -> Result:
    """A day with a quick answer every tenth of a second, and as many replicas all the time."""
    calm = [Sent(moment / 10, kind.name, 200, 0.1) for moment in range(1000) for kind in (SEARCH, RARE)]
    counts = {NAMES[0]: replicas, NAMES[1]: 0}
    samples = [Sample(float(moment), {"gpu": 1}, counts, counts) for moment in range(102)]
    tokens = {SEARCH.name: 100.0, RARE.name: 0.0}
    return Result(DAY, (SEARCH, RARE), tokens, Log(0.0, [*calm, *sent], []), samples, Probe(503, 30.1, "30"))


def missed(found: Result) -> list[str]:
    return [target.name for target in result.targets(found) if target.met is False]


def test_a_calm_day_meets_all_targets() -> None:
    assert missed(course()) == []


def test_one_failed_request_misses_a_target() -> None:
    start, _ = DAY.bounds("burst")
    assert missed(course([Sent(start + 1, SEARCH.name, 503, 1.0)])) == ["failed requests, burst"]


def test_a_slow_burst_misses_a_target() -> None:
    start, end = DAY.bounds("burst")
    slow = [Sent((start + 3 * end) / 4, SEARCH.name, 200, 1.0)] * 20
    assert missed(course(slow)) == ["p99 of 'search' in the burst after scaling (its second half) to steady p99"]


def test_replicas_that_nobody_needs_miss_two_targets() -> None:
    assert missed(course(replicas=2)) == ["GPU time to the ideal", "the minimum at night"]


def test_the_ideal_rounds_up_to_whole_replicas_and_never_falls_under_the_minimum() -> None:
    found = course()
    assert found.load(config.ALWAYS_THERE, 0) < gpu.REPLICA_TOKENS_A_SECOND
    assert found.ideal(0) == gpu.SHARE
    assert found.gpu_seconds() == (pytest.approx(50, rel=0.02), pytest.approx(50, rel=0.02))


def test_a_node_counts_whole_where_replicas_hold_a_share_of_it() -> None:
    assert course().node_gpu_seconds() == pytest.approx(100, rel=0.02)
    (told,) = [one for one in result.targets(course()) if one.name == "the same of whole nodes"]
    assert (told.reached, told.met) == ("2.00 (99 GPU-seconds)", None)


def test_the_extrapolation_goes_by_the_gpu_time_that_the_last_run_measured() -> None:
    page = (HOME / "docs" / "simulation.md").read_text()
    (held,) = re.findall(r"^\| GPU time to the ideal \| [^|]+ \| ([\d.]+) ", page, re.MULTILINE)
    (paid,) = re.findall(r"^\| the same of whole nodes \| +\| ([\d.]+) ", page, re.MULTILINE)
    assert (float(held), float(paid)) == (extrapolation.HELD_TO_IDEAL, extrapolation.PAID_TO_IDEAL)


def test_a_target_says_what_was_reached() -> None:
    (target,) = [one for one in result.targets(course()) if one.name == "GPU time to the ideal"]
    assert target == Target("GPU time to the ideal", "<= 1.4", "1.00 (50 GPU-seconds held, ideal 50)", met=True)


@pytest.mark.slow
def test_the_page_on_scaling_has_what_the_comparison_of_signals_says() -> None:
    """One row of it; the batches are made by the gateway's own class, so a changed rule shows here."""
    *latencies, late, _, gpu_time = signals._row(Day(7 * 60), 1, "busy share and backlog")
    row = ["7 minutes", "busy share and backlog", "1", *map(tables._cell, latencies), tables._cell(gpu_time)]
    assert f"| {' | '.join(row)} |" in (HOME / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert late == 0
