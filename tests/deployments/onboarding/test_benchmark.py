"""The measurement of a model, with a model whose speed is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, DenseVectors, Running
from deployments.families.protocol import Positions, Prepared
from deployments.networks.layouts import padded_length
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from deployments.onboarding.benchmark import measure
from deployments.onboarding.in_process import TOKEN_BUDGET

SECONDS = 0.01
CARD = ModelCard.model_validate(
    {"name": "ours", "family": "dense", "dimensions": 4, "context_window": 100, "pooling": "mean", "licence": "-",
     "model_card_url": "-", "sources": [{"folder": ".", "files": {}}]}
)  # fmt: skip


class Clock:
    """A clock that goes on only when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("deployments.onboarding.benchmark.time.perf_counter", clock)
    return clock


class Sleeper:
    """Takes the same time for every chunk, and reads two tokens a word and two more."""

    running = Running(None, None)

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def samples(self) -> list[Batch]:
        return []

    def prepare(self, batch: Batch) -> Prepared:
        tokens = [min(100, 2 + 2 * len(str(text).split())) for text in batch.inputs]
        return Prepared(batch, batch.inputs, np.array(tokens, np.int64))

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        self.clock.now += SECONDS
        return DenseVectors(np.zeros((len(positions), 4), np.float32))


def test_each_length_up_to_the_window_is_measured_and_the_rates_are_right(clock: Clock) -> None:
    results = list(measure(Sleeper(clock), CARD, 0.1))
    assert [result.tokens for result in results] == [8, 32, 100]
    for result in results:
        rows = min(256, TOKEN_BUDGET // padded_length(result.tokens))
        assert result.latency == pytest.approx(SECONDS)
        assert result.inputs_per_second == pytest.approx(rows / SECONDS)
        assert result.tokens_per_second == pytest.approx(result.tokens * result.inputs_per_second)


def test_the_time_is_bounded(clock: Clock) -> None:
    list(measure(Sleeper(clock), CARD, 0.1))
    assert clock.now == pytest.approx(3 * 0.1, rel=0.5)


def test_an_image_model_is_measured_with_an_image(clock: Clock) -> None:
    seen: list[Any] = []

    class Looker(Sleeper):
        def prepare(self, batch: Batch) -> Prepared:
            seen.extend(batch.inputs)
            return Prepared(batch, batch.inputs, np.full(len(batch), 5, np.int64))

    plain = {"pooling": None, "context_window": None, "family": "clip-vision", "image_size": 6}
    (result,) = measure(Looker(clock), CARD.model_copy(update=plain), 0.02)
    assert result.tokens == 5
    assert {image.shape for image in seen} == {(6, 6, 3)}


def test_what_a_model_runs_as_is_what_its_family_bears(starter: Catalogue) -> None:
    """Sparse models never get bfloat16 by themselves, whatever the processor has."""
    sparse = starter.find("starter/splade-tiny", "test")
    assert in_process.runs_as(sparse, SessionSettings()).endswith("in float32")
    assert (
        in_process.runs_as(starter.find("qdrant/bm25", "test"), SessionSettings()) == "on the CPU, by code of its own"
    )
