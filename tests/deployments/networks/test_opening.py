from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args
from unittest.mock import Mock

import numpy as np
import pytest

from deployments.catalogue.families import FAMILIES
from deployments.contract import MultiVectors
from deployments.errors import ModelError
from deployments.families.dense import load
from deployments.graphs import heads, ragged
from deployments.networks import opening
from deployments.networks.base import Network
from deployments.networks.opening import Graphs, RaggedGraph, is_ready, open_network, open_ready, rows_of
from deployments.networks.packed import PackedNetwork
from deployments.networks.padded import PaddedNetwork
from deployments.networks.ragged import RaggedNetwork
from deployments.networks.session import Build, Provider
from deployments.networks.settings import SessionSettings
from tests.support import tiny
from tests.support.architectures import ARCHITECTURES
from tests.support.tiny import card

GRAPHS = Graphs(
    heads.positions, heads.encoder, RaggedGraph(ragged.encoder, ("mean", False), lambda outputs, _: outputs[0], "text")
)
PADDED = SessionSettings(provider="cpu", rows="padded")


def test_a_checkpoint_is_preferred_to_an_onnx_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    assert is_ready(tmp_path)
    tiny.write(tmp_path, {})
    assert not is_ready(tmp_path)


def test_float16_needs_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_session(build: Build, settings: SessionSettings, unsuitable: Collection[str]) -> Any:
        assert "float16" in unsuitable, "auto must not choose it"
        assert build(np.float32) == tmp_path / "model.onnx"
        build(np.float16)

    monkeypatch.setattr(opening, "open_session", open_session)
    with pytest.raises(ModelError, match=r"model\.onnx runs in the precision it was stored in, not in float16"):
        open_ready(card(), tmp_path, SessionSettings())


@pytest.mark.parametrize(("model_type", "end"), [("bert", 64), ("xlm-roberta", 62)])
def test_a_context_window_ends_where_the_models_positions_end(tmp_path: Path, model_type: str, end: int) -> None:
    """RoBERTa keeps two positions for padding."""
    tiny.write(tmp_path, tiny.bert_tensors(), model_type=model_type, pad_token_id=1)
    network = opened(tmp_path, context_window=end)
    output = network([[1] * end], np.array([end], np.int32))
    assert isinstance(output, MultiVectors)
    assert output.rows.shape == (end, tiny.HIDDEN)
    with pytest.raises(ModelError, match=f"context_window is {end + 1}, but the model ends at {end}"):
        opened(tmp_path, context_window=end + 1)


def opened(folder: Path, **fields: Any) -> Network:
    return open_network(card(**fields), folder, PADDED, GRAPHS)


def test_packed_and_padded_rows_give_the_same(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 20, count).tolist() for count in (5, 40, 1, 22, 63, 30, 2)]
    attended = np.array([len(text) - (len(text) > 20) * 7 for text in texts], np.int32)
    packed = open_network(card(), tmp_path, SessionSettings(provider="cpu"), GRAPHS)
    assert isinstance(packed, PackedNetwork)
    rows, expected = packed(texts, attended), opened(tmp_path)(texts, attended)
    assert isinstance(expected, MultiVectors)
    assert rows.offsets.tolist() == expected.offsets.tolist()
    assert rows.rows == pytest.approx(expected.rows, abs=1e-5)


def test_the_provider_decides_how_texts_share_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    monkeypatch.setattr(opening, "open_session", lambda *_: Mock())
    monkeypatch.setattr(opening, "provider_of", lambda settings: settings.provider)
    for provider, kind in (("cuda", RaggedNetwork), ("openvino", PackedNetwork), ("cpu", PackedNetwork)):
        settings = SessionSettings.model_validate({"provider": provider})
        assert isinstance(open_network(card(), tmp_path, settings, GRAPHS), kind)
    settings = SessionSettings(provider="cuda", rows="padded")
    assert isinstance(open_network(card(), tmp_path, settings, GRAPHS), PaddedNetwork)


def test_what_is_too_large_for_float16_gets_float32_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(opening, "provider_of", lambda settings: settings.provider)
    monkeypatch.setattr(opening, "open_session", lambda *given: asked.append(given) or Mock())
    settings = SessionSettings(provider="cuda", cuda_graphs=False)
    for name in ("gemma", "qwen3"):
        (tmp_path / name).mkdir()
        folder = tiny.write_as(tmp_path / name, *ARCHITECTURES[name](tiny.WORDS))
        tiny.word_pieces().save(str(folder / "tokenizer.json"))
        load(card(), folder, settings)
    assert ["float16" in unsuitable for _, _, unsuitable in asked] == [True, False]


def test_without_graphs_of_cuda_a_text_alone_runs_as_others_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    monkeypatch.setattr(opening, "provider_of", lambda settings: settings.provider)
    monkeypatch.setattr(opening, "open_session", lambda *_: Mock())
    network = open_network(card(), tmp_path, SessionSettings(provider="cuda"), GRAPHS)
    assert isinstance(network, RaggedNetwork)
    assert network.replays is None
    assert "a text alone is not replayed: onnxruntime cannot load the model on cuda" in caplog.text


def test_every_family_that_reads_texts_with_a_network_has_rows_for_every_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "provider_of", lambda settings: settings.provider)
    for spec in FAMILIES.values():
        if "context_window" in spec.needs:
            for provider in get_args(Provider):
                assert rows_of(spec.name, SessionSettings(provider=provider)) in {"padded", "packed", "ragged"}


def test_rows_that_a_family_cannot_have_are_refused() -> None:
    with pytest.raises(ModelError, match="rows 'ragged': clip-text has only padded"):
        rows_of("clip-text", SessionSettings(provider="cpu", rows="ragged"))


def test_a_ready_file_gets_rows_of_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_session", lambda *_: Mock())
    (tmp_path / "model.onnx").touch()
    assert isinstance(open_network(card(), tmp_path, SessionSettings(provider="cpu"), GRAPHS), PaddedNetwork)


@pytest.mark.parametrize(("family", "unsuitable"), [("dense", ()), ("sparse", ("bfloat16",))])
def test_families_say_which_precisions_are_unsuitable_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, unsuitable: tuple[str, ...]
) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    monkeypatch.setattr(opening, "open_session", lambda _build, _settings, given: given)
    fields = {"pooling": None, "dimensions": None} if family == "sparse" else {}
    network = opened(tmp_path, family=family, **fields)
    assert isinstance(network, PaddedNetwork)
    assert network.session == unsuitable
