"""What does one replica's process feed, and how many cores does a card need?

A stand-in takes the card's place: it sleeps as long as a card would compute. So two cores show what all else costs:
tokenizing, waiting inputs, runs put together, vectors handed out, batches and answers as bytes. On a machine that is
busy with other things, the rates mean little; the processor time of a token, told by kind of thread, is what to read.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import random_models, tables
from benchmarks.gpu import runs
from benchmarks.gpu.texts import Texts
from deployments.catalogue.card import ModelCard
from deployments.contract import DenseVectors
from deployments.families.text import TextModel
from deployments.networks.ragged import Ragged, RaggedNetwork
from deployments.networks.session import Session
from deployments.networks.settings import SessionSettings
from deployments.replica import loading
from deployments.replica.settings import ReplicaSettings

_REACHED = 0.4
"""The share of a card's peak that a model is taken to reach; no card has told yet."""

_LENGTHS = (16, 128, 512)
_HEAD = (
    "model",
    "tokens a text",
    "tokenizing threads",
    "card, tokens/s",
    "fed, tokens/s",
    "cores busy",
    "tokenizing, ns a token",
    "runs, ns a token",
    "loop, ns a token",
    "cores that the card wants",
)


class StandIn:
    """What `Session` needs of onnxruntime: a card of so many tokens a second, which gives zeros."""

    def __init__(self, rate: float, dimensions: int) -> None:
        self._rate, self._dimensions = rate, dimensions
        self._free_at, self._lock = 0.0, threading.Lock()

    def get_inputs(self) -> list[Any]:
        """What it reads."""
        return [_Input(name) for name in ("input_ids", "positions", "starts", "token_offset", "slots")]

    def get_outputs(self) -> list[Any]:
        """What it gives."""
        return [_Input("output")]

    def run(self, _outputs: None, inputs: dict[str, Any]) -> list[Any]:
        """Sleep as long as the card would compute."""
        with self._lock:
            self._free_at = max(self._free_at, time.perf_counter()) + len(inputs["input_ids"]) / self._rate
            until = self._free_at
        time.sleep(max(0.0, until - time.perf_counter()))
        return [np.zeros((len(inputs["starts"]) - 1, self._dimensions), np.float32)]


class _Input:
    def __init__(self, name: str) -> None:
        self.name, self.type = name, "tensor(int32)"


def measure(seconds: float, threads: Sequence[int], peak: float, models: Sequence[str]) -> None:
    """Print the table; `peak` is the card's, in TFLOPS."""
    rows, texts = [], Texts()
    for name in models:
        size = random_models.BERTS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = random_models.write_bert(Path(folder, "model"), random_models.Bert(size.hidden, 1))
            card = random_models.card(name, path)
            for length in _LENGTHS:
                inputs = texts.of(length, 131_072 // length)
                rate = _REACHED * peak * 1e12 / size.flops(length)
                for count in threads:
                    settings = ReplicaSettings(provider="cpu", token_budget=16_384, tokenizing_threads=count)
                    with _instead(StandIn(rate, size.hidden)), runs.replica(card, path, settings) as offer:
                        fed = offer(inputs, seconds)
                    costs = [fed.nanoseconds[kind] for kind in runs.KINDS]
                    rows.append((name, length, count, rate, fed.rate, fed.cores, *costs, rate * sum(costs) / 1e9))
    tables.show_machine()
    tables.show(f"What a replica feeds a stand-in of {_REACHED:.0%} of {peak:,.0f} TFLOPS", _HEAD, rows)


@contextmanager
def _instead(standin: StandIn) -> Iterator[None]:
    """Models that are loaded run on a stand-in."""
    plain = loading.load_family

    def load(card: ModelCard, folder: Path | None, _settings: SessionSettings) -> TextModel:
        network = RaggedNetwork(
            Session(standin, "cuda", "float16"), Ragged(), lambda outputs, _: DenseVectors(outputs[0])
        )
        assert folder is not None
        return TextModel(card, folder, network, lambda output: output)  # type: ignore[arg-type, return-value]

    loading.load_family = load
    try:
        yield
    finally:
        loading.load_family = plain
