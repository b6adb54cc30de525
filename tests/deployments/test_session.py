from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from pydantic import ValidationError

from deployments import session as session_module
from deployments.checkpoint import Checkpoint
from deployments.errors import InternalError, ModelError
from deployments.graphs import bert
from deployments.session import SessionSettings, open_session
from tests.deployments import tiny

INPUTS = {"input_ids": np.array([[3, 1, 4], [1, 5, 0]], np.int32), "lengths": np.array([3, 2], np.int32)}
CPU = SessionSettings(provider="cpu")


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    return bert.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors())))


def test_a_model_runs_from_bytes_and_from_a_file(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model)
    (one,) = open_session(model, CPU).run(INPUTS)
    (other,) = open_session(tmp_path / "model.onnx", CPU).run(INPUTS)
    assert one.shape == (2, 3, tiny.HIDDEN)
    assert (one == other).all()


def test_inputs_that_the_model_does_not_read_are_left_out(model: bytes) -> None:
    (output,) = open_session(model, CPU).run({**INPUTS, "pixels": np.zeros(1)})
    assert len(output) == 2


def test_a_session_tells_how_it_runs(model: bytes) -> None:
    session = open_session(model, SessionSettings(provider="cpu", precision="auto", threads=1))
    assert (session.provider, session.precision) == ("cpu", "float32")


@pytest.mark.parametrize(
    ("available", "chosen"),
    [
        (["CPUExecutionProvider"], "cpu"),
        (["OpenVINOExecutionProvider", "CPUExecutionProvider"], "openvino"),
        (["CPUExecutionProvider", "OpenVINOExecutionProvider", "CUDAExecutionProvider"], "cuda"),
    ],
)
def test_auto_is_the_fastest_provider_there_is(
    monkeypatch: pytest.MonkeyPatch, available: list[str], chosen: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    assert session_module._provider(SessionSettings()) == chosen


def test_a_provider_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch, model: bytes) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="provider 'cuda': the installed onnxruntime has only cpu"):
        open_session(model, SessionSettings(provider="cuda"))


def test_a_silent_fallback_to_another_provider_is_an_error(monkeypatch: pytest.MonkeyPatch, model: bytes) -> None:
    real = onnxruntime.InferenceSession

    def falls_back(model: bytes, options: Any, providers: Any, **rest: Any) -> Any:
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ModelError, match="asked for cuda, but onnxruntime fell back to CPUExecutionProvider"):
        open_session(model, SessionSettings(provider="cuda"))


def test_a_precision_that_the_provider_lacks_is_refused(model: bytes) -> None:
    with pytest.raises(ModelError, match="precision 'float16' on cpu: here there is only float32"):
        open_session(model, SessionSettings(provider="cpu", precision="float16"))


@pytest.mark.parametrize(("has_it", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_is_bfloat16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, chosen: str
) -> None:
    monkeypatch.setattr(session_module, "_processor_has_bfloat16", lambda: has_it)
    assert session_module._precision(SessionSettings(precision="auto"), "openvino") == chosen
    assert session_module._precision(SessionSettings(precision="auto"), "cpu") == "float32"
    assert session_module._precision(SessionSettings(), "openvino") == "float32"


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot load the model on cpu"):
        open_session(b"no model", CPU)


def test_a_run_that_fails_is_an_internal_error(model: bytes) -> None:
    session = open_session(model, CPU)
    with pytest.raises(InternalError, match="the model could not be run"):
        session.run({**INPUTS, "lengths": np.array([[3.5]])})


@pytest.mark.parametrize("settings", [{"provider": "tpu"}, {"precision": "int8"}, {"thread": 2}, {"threads": -1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionSettings.model_validate(settings)
