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
from deployments.replica.settings import ReplicaSettings

SECONDS = 0.01
ONE = ReplicaSettings(streams=1)
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
    *results, _ = measure(Sleeper(clock), CARD, 0.1, ONE)
    assert [result.tokens for result in results] == [(8, 8), (32, 32), (100, 100)]
    for result in results:
        tokens, _ = result.tokens
        rows = min(256, TOKEN_BUDGET // padded_length(tokens))
        assert result.latency == pytest.approx(SECONDS)
        assert result.inputs_per_second == pytest.approx(rows / SECONDS)
        assert result.tokens_per_second == pytest.approx(tokens * result.inputs_per_second)


def test_mixed_lengths_are_run_as_a_replicas_queue_has_them(clock: Clock) -> None:
    """Of 64 texts that wait together those go into one run that fit into the budget."""
    family = Sleeper(clock)
    mixed = list(measure(family, CARD, 0.1, ONE))[-1]
    assert mixed.tokens == (8, 100)
    assert mixed.latency == pytest.approx(SECONDS)
    total = 8 * (8 + 12 + 16 + 100 + 10 + 24 + 100 + 14)
    runs = 64 / mixed.inputs_per_second / SECONDS
    assert total / TOKEN_BUDGET <= runs < 1.3 * total / TOKEN_BUDGET
    assert mixed.tokens_per_second == pytest.approx(total / runs / SECONDS)


def test_the_time_is_bounded(clock: Clock) -> None:
    list(measure(Sleeper(clock), CARD, 0.1, ONE))
    assert clock.now == pytest.approx(4 * 0.1, rel=1)


def test_an_image_model_is_measured_with_an_image(clock: Clock) -> None:
    seen: list[Any] = []

    class Looker(Sleeper):
        def prepare(self, batch: Batch) -> Prepared:
            seen.extend(batch.inputs)
            return Prepared(batch, batch.inputs, np.full(len(batch), 5, np.int64))

    plain = {"pooling": None, "context_window": None, "family": "clip-vision", "image_size": 6}
    (result,) = measure(Looker(clock), CARD.model_copy(update=plain), 0.02, ONE)
    assert result.tokens == (5, 5)
    assert {image.shape for image in seen} == {(6, 6, 3)}


def test_what_a_model_runs_as_is_what_its_family_bears(starter: Catalogue) -> None:
    """Sparse models never get bfloat16 by themselves, whatever the processor has."""
    sparse = starter.find("starter/splade-tiny", "test")
    assert in_process.runs_as(sparse, SessionSettings()).endswith("in float32")
    assert (
        in_process.runs_as(starter.find("qdrant/bm25", "test"), SessionSettings()) == "on the CPU, by code of its own"
    )
