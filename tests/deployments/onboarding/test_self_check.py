"""The self-check finds models that do not keep their promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.catalogue.card import Markers, ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, DenseVectors, Floats, MultiVectors, Running, Vectors
from deployments.errors import InternalError, ModelError
from deployments.families.loading import load_family
from deployments.families.pooling import normalize
from deployments.families.protocol import Positions, Prepared
from deployments.networks.settings import SessionSettings
from deployments.onboarding.self_check import self_check

DENSE = ModelCard.model_validate(
    {"name": "ours", "family": "dense", "dimensions": 4, "context_window": 8, "pooling": "mean", "licence": "-",
     "model_card_url": "-", "sources": [{"folder": ".", "files": {}}]}
)  # fmt: skip


def of_text(prepared: Prepared, positions: Positions) -> Floats:
    """A unit vector that depends on nothing but the text."""
    return normalize(
        np.array([np.resize(np.frombuffer(prepared.items[i].encode()[:7], np.uint8), 4) for i in positions], np.float32)
    )


@dataclass
class Toy:
    """A model with a fault: what it makes of its rows, or of the positions, is wrong."""

    running = Running(None, None)

    change: Callable[[Floats], Any] = lambda rows: rows
    runs: list[int] = field(default_factory=list)

    def prepare(self, batch: Batch) -> Prepared:
        return Prepared(batch, batch.inputs, np.full(len(batch), 2, np.int64))

    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        self.runs.append(len(positions))
        made = self.change(of_text(prepared, positions))
        return made if isinstance(made, (DenseVectors, MultiVectors)) else DenseVectors(np.asarray(made, np.float32))

    def samples(self) -> list[Batch]:
        return []


def test_a_sound_model_passes_and_each_check_is_told() -> None:
    said = "\n".join(self_check(Toy(), DENSE))
    for wanted in (
        "update: 4 dimensions",
        "search: ",
        "finite",
        "normalized",
        "of two runs",
        "of one alone",
        "different",
    ):
        assert wanted in said


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda rows: rows[:, :3], "3 dimensions, not 4"),
        (lambda rows: rows * np.nan, "not finite"),
        (lambda rows: rows * 1.01, "not normalized"),
        (lambda rows: normalize(rows + np.float32(len(rows))), "of one alone and one among others differ"),
        (lambda rows: normalize(np.ones_like(rows)), "nothing in common get the same vector"),
    ],
)
def test_a_broken_promise_is_named(change: Callable[[Floats], Any], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        self_check(Toy(change), DENSE)


def test_a_model_that_gives_other_vectors_each_time_is_found() -> None:
    random = np.random.default_rng(1)
    with pytest.raises(ModelError, match="of two runs differ"):
        self_check(Toy(lambda rows: normalize(rows + random.random(rows.shape, np.float32))), DENSE)


def test_vectors_that_need_not_be_normalized_are_not_checked_for_it() -> None:
    assert "normalized" not in "\n".join(
        self_check(Toy(lambda rows: rows * 2), DENSE.model_copy(update={"normalize": False}))
    )


def test_multivectors_are_checked_token_by_token() -> None:
    changes = {"family": "late-interaction", "pooling": None, "markers": Markers(query=1, document=2)}
    card = DENSE.model_copy(update=changes)

    def two_each(rows: Floats) -> MultiVectors:
        return MultiVectors(np.repeat(rows, 2, axis=0), np.arange(0, 2 * len(rows) + 1, 2))

    assert any("2 vectors for 'A cup of tea'" in line for line in self_check(Toy(two_each), card))
    with pytest.raises(ModelError, match="not normalized"):
        self_check(Toy(lambda rows: two_each(rows * 2)), card)


def test_a_model_that_fails_is_reported_as_such() -> None:
    def fail(rows: Floats) -> Floats:
        raise InternalError("the model could not be run")

    with pytest.raises(ModelError, match="ours: the model could not be run"):
        self_check(Toy(fail), DENSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["starter/splade-tiny", "starter/clip-shapes-text", "starter/clip-shapes-vision"])
def test_the_starter_models_pass(name: str, starter: Catalogue, model_folder: Callable[[str], Path]) -> None:
    card = starter.find(name, "test")
    assert self_check(load_family(card, model_folder(name), SessionSettings(precision="float32")), card)
