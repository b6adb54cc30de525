from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Running
from deployments.errors import ModelError, ModelFilesError
from deployments.families.loading import load_family
from deployments.files.store import ModelStore, cache_folder
from deployments.networks.settings import SessionSettings
from tests.support import tiny
from tests.support.tiny import card

CPU = SessionSettings(provider="cpu")


def test_a_context_window_beyond_the_models_positions_is_refused(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    with pytest.raises(ModelError, match="tiny: context_window is 65, but the model ends at 64"):
        load_family(card(context_window=65), tmp_path, CPU)


def test_a_missing_tokenizer_is_an_error_of_the_files(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.bert_tensors())
    with pytest.raises(ModelFilesError, match=r"tokenizer\.json"):
        load_family(card(), tmp_path, CPU)


def test_weights_that_have_changed_since_they_were_pulled_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would load as well, and give other vectors."""
    monkeypatch.setenv("QDRANT_INFERENCE_CACHE", str(tmp_path / "cache"))
    tiny.write(tmp_path, tiny.bert_tensors())
    weights = tmp_path / "model.safetensors"
    own = card(sources=[{"folder": str(tmp_path), "files": {"config.json": {}, weights.name: {}}}])
    ModelStore(cache_folder()).pull(own)
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(ModelFilesError, match=r"model\.safetensors: expected sha256"):
        load_family(own, tmp_path, CPU)


def test_a_missing_preprocessor_is_an_error_of_the_files(starter: Catalogue, tmp_path: Path) -> None:
    tiny.write(tmp_path, {}, model_type="clip")
    with pytest.raises(ModelFilesError, match=r"preprocessor_config\.json"):
        load_family(starter.find("starter/clip-shapes-vision", "test"), tmp_path, CPU)


def test_each_model_says_how_it_runs_itself(starter: Catalogue, tmp_path: Path) -> None:
    """Another model of the same process, or one that could not be loaded, changes nothing."""
    tiny.write(tmp_path, tiny.bert_tensors())
    tiny.word_pieces().save(str(tmp_path / "tokenizer.json"))
    family = load_family(card(), tmp_path, CPU)
    bm25 = load_family(starter.find("qdrant/bm25", "test"), None, CPU)
    assert family.running == Running("cpu", "float32")
    assert bm25.running == Running(None, None)


@pytest.mark.slow
def test_bm25_brings_neither_a_network_nor_a_tokenizer() -> None:
    script = (
        "import sys, deployments.families.bm25\nassert not {'onnxruntime', 'tokenizers', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
