"""What a replica and the image loader count."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deployments.errors import WrongInput
from deployments.metrics import replica as metrics
from deployments.metrics.instruments import STAGE_SECONDS, Histogram
from deployments.metrics.replica import ReplicaMeasures
from deployments.replica.worker import Worker
from tests.support.numbers_model import Numbers


def counts(histogram: Histogram, *labels: str) -> tuple[int, float]:
    """How many values there were, and their sum."""
    series = histogram.series[labels]
    return sum(series.counts), series.total


async def test_a_worker_measures_each_run_and_how_long_each_batch_waited() -> None:
    model, worker = Numbers(), Worker(ReplicaMeasures("measured"))
    worker.reconfigure(threads=1, budget=200)
    work: Any = model.work(41, 40, 3)
    work.operation = "update"
    await worker.run(work)
    await asyncio.to_thread(worker.close)
    runs = [sorted(chunk) for chunk in model.chunks]
    assert counts(metrics.RUN_INPUTS, "measured", "update") == (len(runs), 3)
    assert metrics.RUN_TOKENS.values["measured", "update"] == 84
    padded = sum({41: 48, 40: 40, 3: 3}[max(chunk)] * len(chunk) for chunk in runs)
    assert metrics.PADDING_TOKENS.values["measured", "update"] == padded - 84
    assert counts(STAGE_SECONDS, "queue", "measured", "update")[0] == 1
    assert counts(STAGE_SECONDS, "run", "measured", "update")[0] == len(runs)


async def test_what_waits_is_told_in_tokens() -> None:
    model, worker = Numbers(), Worker(ReplicaMeasures())
    waiting = asyncio.create_task(worker.run(model.work(5, 6)))
    await asyncio.sleep(0)
    assert worker.waiting_tokens == 11
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert worker.waiting_tokens == 0


def test_padding_is_what_was_computed_beside_the_tokens() -> None:
    ReplicaMeasures("padded").ran(0.1, [50, 49], 112, "search")
    assert metrics.PADDING_TOKENS.values["padded", "search"] == 13


def test_a_batch_is_measured_in_inputs_and_tokens() -> None:
    ReplicaMeasures("batch").tokenized(0.001, [2, 3, 4], "search")
    assert counts(metrics.BATCH_INPUTS, "batch", "search") == (1, 3)
    assert counts(metrics.BATCH_TOKENS, "batch", "search") == (1, 9)
    assert counts(STAGE_SECONDS, "tokenize", "batch", "search") == (1, 0.001)


@pytest.mark.parametrize(("provider", "gpu", "fallback"), [("cpu", True, 1), ("cuda", True, 0), ("openvino", False, 0)])
def test_a_reserved_gpu_that_is_not_used_is_a_fallback(provider: str, fallback: int, *, gpu: bool) -> None:
    ReplicaMeasures("gpu").loaded(1.5, provider, "float32", gpu_reserved=gpu)
    assert metrics.CPU_FALLBACK.values["gpu",] == fallback
    assert metrics.PROVIDER_INFO.values == {("gpu", provider, "float32"): 1}
    assert metrics.LOAD_SECONDS.values["gpu",] == 1.5


def test_gauges_tell_the_queue_and_the_gpus_memory() -> None:
    replica = ReplicaMeasures("gauges")
    replica.gauges(7, None)
    assert metrics.QUEUE_TOKENS.values["gauges",] == 7
    assert ("gauges",) not in metrics.GPU_USED.values
    replica.gauges(7, (100, 200))
    assert (metrics.GPU_USED.values["gauges",], metrics.GPU_TOTAL.values["gauges",]) == (100, 200)


def test_an_image_is_counted_once_with_what_became_of_it() -> None:
    before = dict(metrics.IMAGES.values)
    with metrics.image("org/vision", "url", "fetch", "not fetched"):
        pass
    with metrics.image("org/vision", "url", "decode image", "not decoded", "loaded"):
        pass
    with pytest.raises(WrongInput), metrics.image("org/vision", "url", "fetch", "not fetched"):
        raise WrongInput("no")
    after = {labels: value - before.get(labels, 0) for labels, value in metrics.IMAGES.values.items()}
    assert {labels: value for labels, value in after.items() if value} == {
        ("url", "loaded"): 1,
        ("url", "not fetched"): 1,
    }
    assert counts(STAGE_SECONDS, "fetch", "org/vision", "")[0] == 1
