"""One script for a card, with neither Ray nor a network: what `--bare` runs, in ten minutes at most.

A step that fails is told as such, and the others follow; what would begin after the time is over is left out. Results
are printed, and written as JSON after each step.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np

from benchmarks import machine, random_models, tables
from benchmarks.gpu import matrices, parity, peer, runs, small_models
from benchmarks.gpu.texts import Texts
from benchmarks.random_models import Bert, Vit
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch
from deployments.families.loading import load_family
from deployments.families.protocol import Family
from deployments.networks.settings import SessionSettings
from deployments.replica.settings import ReplicaSettings

Size = Union[Bert, Vit]
_MEAN = 107
"""Tokens of a text of the mixture, nearly."""


@dataclass(frozen=True)
class Plan:
    """How long and how large; `quick` is with tiny models for moments, to see that all of it works."""

    provider: str
    seconds: float
    minutes: float
    quick: bool
    threads: int

    @property
    def budget(self) -> int:
        """Tokens of a run."""
        return 256 if self.quick else 16_384

    @property
    def models(self) -> dict[str, Size]:
        """By name, the small ones first."""
        real: dict[str, Size] = random_models.BERTS | random_models.OTHERS | random_models.CLIPS
        if not self.quick:
            return real
        small = {name: Bert(96, 2, size.family) for name, size in real.items() if isinstance(size, Bert)}
        return {**small, random_models.CLIP_VISION: Vit(64, 2, 32, 32)}

    @property
    def lengths(self) -> Sequence[int]:
        """Of texts in tokens; 0 is a mixture."""
        return (16, 0) if self.quick else (16, 128, 512, 0)

    @property
    def on_card(self) -> bool:
        """Whether this is what it is for."""
        return self.provider == "cuda"

    def settings(self, **changes: Any) -> ReplicaSettings:
        """Of a replica on the card."""
        plain = {"provider": self.provider, "token_budget": self.budget, "tokenizing_threads": self.threads}
        return ReplicaSettings.model_validate(plain | changes)


@dataclass(frozen=True)
class Model:
    """A model of random weights, in a folder."""

    name: str
    size: Size
    path: Path

    def write(self) -> None:
        """Write its files."""
        if isinstance(self.size, Bert):
            random_models.write_bert(self.path, self.size)
        else:
            random_models.write_clip_vision(self.path, self.size)

    @property
    def card(self) -> ModelCard:
        """Its entry in a catalogue."""
        return random_models.card(self.name, self.path, self.size)

    def on_cpu(self) -> Family:
        """The same on the CPU, as exact as can be."""
        return _exact(self.card, self.path)


def _exact(card: ModelCard, path: Path) -> Family:
    return load_family(card, path, SessionSettings(provider="cpu", precision="float32", rows="padded"))


@dataclass
class Report:
    """What was found, with what failed and what there was no time for."""

    file: Path
    ends: float
    about: dict[str, Any]
    found: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, model: str, what: str) -> Iterator[Callable[..., None]]:
        """A step, which is given a function that takes the values that it finds."""
        began = time.perf_counter()
        entry: dict[str, Any] = {"model": model, "what": what}
        try:
            yield entry.update
        except Exception as error:  # noqa: BLE001  the other steps may work
            entry["failed"] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        entry["took_s"] = round(time.perf_counter() - began, 2)
        self.found.append(entry)
        print(json.dumps(entry), flush=True)
        self.file.write_text(json.dumps({**self.about, "found": self.found}, indent=1))

    @property
    def is_time(self) -> bool:
        """Whether another step may begin."""
        return time.monotonic() < self.ends


def run(plan: Plan, file: Path) -> None:
    """Run all and write `file`."""
    about = {"machine": machine.describe(), "card": card_name(plan.provider), "quick": plan.quick}
    report = Report(file, time.monotonic() + 60 * plan.minutes, about)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QDRANT_INFERENCE_GRAPHS"] = str(Path(folder, "graphs"))
        with report.step("", "matrix products") as found:
            rate = matrices.rate(plan.settings(), 256 if plan.quick else 8192, plan.seconds)
            found(tflops=rate / 1e12)
        for name, path, card in small_models.written(Path(folder, "small")):
            with report.step(name, "parity of a small one") as found:
                on_card = load_family(card, path, plan.settings().session())
                running = on_card.running
                found(lowest_cosine=parity.lowest_cosine(on_card, _exact(card, path), _few_short()), **vars(running))
        for name, size in plan.models.items():
            if not report.is_time:
                report.about["left_out"] = [*report.about.get("left_out", []), name]
                continue
            model = Model(name, size, Path(folder, "model"))
            _of_a_model(plan, report, model)
            shutil.rmtree(model.path, ignore_errors=True)
    _show(report)


def card_name(provider: str) -> str:
    """The card's name, or that of no card."""
    if provider != "cuda":
        return "none"
    return _nvidia("name") or "unknown"


def _nvidia(what: str) -> str:
    asked = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _of_a_model(plan: Plan, report: Report, model: Model) -> None:
    with report.step(model.name, "writing") as found:
        model.write()
        found(mb=sum(each.stat().st_size for each in model.path.iterdir()) / 1e6)
    for rows in ("auto", "padded") if isinstance(model.size, Bert) else ("auto",):
        family = None
        with report.step(model.name, f"opening, rows {rows}") as found:
            family = load_family(model.card, model.path, plan.settings(rows=rows).session())
            found(provider=family.running.provider, precision=family.running.precision)
        if family is None:
            continue
        with report.step(model.name, f"parity, rows {rows}") as found:
            inputs = _few(model.size)
            found(lowest_cosine=parity.lowest_cosine(family, model.on_cpu(), inputs))
        _session_rates(plan, report, model, rows, family)
        with report.step(model.name, f"one alone, rows {rows}") as found:
            found(ms=runs.latency(family, _few(model.size)[0], plan.seconds / 3), mib=_nvidia("memory.used"))
    if isinstance(model.size, Bert):
        _replica(plan, report, model)
    if isinstance(model.size, Bert) and model.size.family == "dense":
        _searches(plan, report, model)
        _peer(plan, report, model)


def _few(size: Size) -> list[Any]:
    """Inputs of all lengths, the shortest first."""
    if isinstance(size, Vit):
        return _images(8)
    texts = Texts()
    return [text for length in (12, 17, 90, 300) for text in texts.of(length, 3)]


def _images(count: int) -> list[Any]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8))


def _many(plan: Plan, length: int) -> list[str]:
    """Several budgets of texts of this length; 0 is a mixture."""
    count = 4 * plan.budget // (length or _MEAN)
    return Texts().of(length, count) if length else Texts().mixed(count)


def _session_rates(plan: Plan, report: Report, model: Model, rows: str, family: Family) -> None:
    size, settings = model.size, plan.settings(rows=rows)
    if isinstance(size, Vit):
        with report.step(model.name, "session") as found:
            inputs = _images(8 if plan.quick else 512)
            images = runs.session_rate(family, inputs, settings, plan.seconds) / size.tokens
            found(images_per_s=images, tflops=images * size.flops() / 1e12)
        return
    for length in plan.lengths if rows == "auto" else plan.lengths[1::2]:
        with report.step(model.name, f"session, {length or 'mixed'} tokens, rows {rows}") as found:
            rate = runs.session_rate(family, _many(plan, length), settings, plan.seconds)
            found(tokens_per_s=rate, tflops=rate * size.flops(length or _MEAN) / 1e12)


def _few_short() -> list[str]:
    """Texts for the tokenizers of the small models, the shortest first."""
    return ["a", "the capital of Paris", "vectors, and text!", "is " * 41, "the vector is " * 100, "are " * 300]


def _searches(plan: Plan, report: Report, model: Model) -> None:
    texts = Texts().of(12, 500)
    for graphs in (False, True) if plan.on_card else (False,):
        with report.step(model.name, f"searches {'with' if graphs else 'without'} CUDA graphs") as found:
            settings = plan.settings(cuda_graphs=graphs)
            for count, each in runs.searches(model.card, model.path, settings, texts, plan.seconds).items():
                found(**{f"per_s_{count}": each.rate, f"ms_{count}": each.median})


def _replica(plan: Plan, report: Report, model: Model) -> None:
    opened = runs.replica(model.card, model.path, plan.settings(), *([1] if plan.quick else []))
    with report.step(model.name, "all of a replica"), opened as offer:
        for length in plan.lengths:
            with report.step(model.name, f"replica, {length or 'mixed'} tokens") as found:
                fed = offer(_many(plan, length), plan.seconds)
                costs = {f"{kind}_ns": nanoseconds for kind, nanoseconds in fed.nanoseconds.items()}
                found(tokens_per_s=fed.rate, cores=fed.cores, **costs)


def _peer(plan: Plan, report: Report, model: Model) -> None:
    with report.step(model.name, "sentence-transformers, mixed tokens") as found:
        if lacking := peer.missing():
            found(left_out=f"{lacking} is not installed")
            return
        texts = _many(plan, 0)
        tokens = int(model.on_cpu().prepare(Batch(texts, "update")).tokens.sum())
        found(tokens_per_s=peer.rate(model.path, texts, tokens, "cuda" if plan.on_card else "cpu", plan.seconds))


_COLUMNS = (
    "tokens_per_s",
    "images_per_s",
    "tflops",
    "lowest_cosine",
    "ms",
    "cores",
    "per_s_1",
    "ms_1",
    "per_s_64",
    "ms_64",
)


def _show(report: Report) -> None:
    limit = report.found[0].get("tflops")
    rows: list[Sequence[object]] = []
    for entry in report.found:
        share = entry["tflops"] / limit if limit and "tflops" in entry else ""
        note = entry.get("failed") or entry.get("left_out") or ""
        rows.append((entry["model"], entry["what"], *(_cell(entry.get(name)) for name in _COLUMNS), share, note))
    tables.show_machine()
    print(f"Card: {report.about['card']}. Left out: {report.about.get('left_out', 'nothing')}.")
    tables.show("On the card", ("model", "step", *_COLUMNS, "to matrix products", "note"), rows)


def _cell(value: object) -> object:
    return "" if value is None else f"{value:.5f}" if isinstance(value, float) and 0.9 < value <= 1.0001 else value
