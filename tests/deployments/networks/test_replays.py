"""Ragged texts alone, filled up to the shapes for which there are graphs, by a reference in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.architectures.checkpoint import Checkpoint
from deployments.graphs import ragged as graphs
from deployments.networks.ragged import Ragged, RaggedNetwork, ragged
from deployments.networks.replays import Replays, sizes
from deployments.networks.session import CARD
from tests.support import packed_operators, tiny

WINDOW = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tiny.write(tmp_path_factory.mktemp("bert"), tiny.bert_tensors())
    return graphs.encoder(Checkpoint(folder), np.float32, "mean", True)


@pytest.fixture
def captured(model: bytes) -> packed_operators.Captured:
    return packed_operators.Captured(packed_operators.session(model))


def made(*lengths: int) -> tuple[list[list[int]], Any]:
    rng = np.random.default_rng(sum(lengths))
    return [rng.integers(1, tiny.WORDS, length).tolist() for length in lengths], np.array(lengths, np.int32)


@pytest.mark.parametrize(("length", "size"), [(1, 24), (23, 24), (24, 40), (63, 72)])
def test_a_text_alone_gives_what_it_gives_otherwise(
    model: bytes, captured: packed_operators.Captured, length: int, size: int
) -> None:
    replays = Replays(captured, "text", WINDOW)  # type: ignore[arg-type]
    texts, attended = made(length)
    network = RaggedNetwork(packed_operators.session(model), Ragged(), lambda outputs, _: outputs[0], replays)
    found = network(texts, attended)
    assert captured.runs == [size]
    (expected,) = packed_operators.session(model).run(ragged(texts, attended))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("lengths", [(72,), (5, 5)], ids=["long", "several"])
def test_others_run_as_they_are(model: bytes, captured: packed_operators.Captured, lengths: tuple[int, ...]) -> None:
    texts, attended = made(*lengths)
    replays = Replays(captured, "text", WINDOW)  # type: ignore[arg-type]
    assert replays.run(texts, attended, None) is None
    assert captured.runs == []


def test_beside_another_run_a_text_alone_is_like_others(model: bytes, captured: packed_operators.Captured) -> None:
    replays = Replays(captured, "text", WINDOW)  # type: ignore[arg-type]
    network = RaggedNetwork(packed_operators.session(model), Ragged(), lambda outputs, _: outputs[0], replays)
    with CARD.shared():
        network(*made(5))
    assert captured.runs == []


def test_of_a_row_a_token_those_are_left_out_for_which_nobody_asked(tmp_path: Path) -> None:
    linear = {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    folder = tiny.write(tmp_path, tiny.bert_tensors() | linear)
    session = packed_operators.session(graphs.colbert(Checkpoint(folder), np.float32, True))
    texts, lengths = made(19)
    attended = lengths - 3
    outputs = Replays(packed_operators.Captured(session), "token", WINDOW).run(texts, attended, None)  # type: ignore[arg-type]
    (expected,) = session.run(ragged(texts, attended))
    assert outputs is not None
    assert outputs[0] == pytest.approx(expected, abs=1e-6)
    assert len(expected) == 19


def test_no_graph_is_much_longer_than_a_text_may_be() -> None:
    assert sizes(100) == [24, 40, 72]
    assert sizes(8) == []
