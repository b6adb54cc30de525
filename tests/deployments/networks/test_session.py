from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from pydantic import ValidationError

from deployments.architectures.checkpoint import Checkpoint
from deployments.errors import InternalError, ModelError
from deployments.graphs import heads
from deployments.networks import session as session_module
from deployments.networks.alone import alone
from deployments.networks.session import open_replayed, open_session
from deployments.networks.settings import SessionSettings
from tests.support import tiny

INPUTS = {"input_ids": np.array([[3, 1, 4], [1, 5, 0]], np.int32), "lengths": np.array([3, 2], np.int32)}
CPU = SessionSettings(provider="cpu")


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    return heads.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors())))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Pretends that CUDA is there; the options with which each session was opened on it."""
    options: list[dict[str, str]] = []

    class OnCuda:
        def __init__(self, model: bytes, _options: Any, providers: Any, **rest: Any) -> None:
            assert rest == {"enable_fallback": 0}
            ((self.provider, provider_options),) = providers
            options.append(provider_options)

        def get_providers(self) -> list[str]:
            return [self.provider, "CPUExecutionProvider"]

        def get_inputs(self) -> list[Any]:
            return []

        def get_outputs(self) -> list[Any]:
            return []

    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCuda)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    return options


def test_a_model_runs_from_bytes_and_from_a_file(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model)
    (one,) = open_session(lambda _: model, CPU).run(INPUTS)
    (other,) = open_session(lambda _: tmp_path / "model.onnx", CPU).run(INPUTS)
    assert one.shape == (2, 3, tiny.HIDDEN)
    assert (one == other).all()


def test_cuda_is_the_replicas_own_gpu_and_takes_no_more_memory_than_it_may(opened: list[dict[str, str]]) -> None:
    open_session(lambda _: b"", SessionSettings(provider="cuda", cuda_graphs=False, gpu_mem_limit=2**31))
    (options,) = opened
    assert (options["device_id"], options["gpu_mem_limit"]) == ("0", "2147483648")
    assert options["arena_extend_strategy"] == "kSameAsRequested"


def test_two_sessions_share_the_memory_that_a_replica_may_take(opened: list[dict[str, str]]) -> None:
    settings = SessionSettings(provider="cuda", gpu_mem_limit=2**31)
    open_session(lambda _: b"", settings)
    open_replayed(lambda _: b"", settings)
    assert [options["gpu_mem_limit"] for options in opened] == ["1073741824"] * 2
    assert [options.get("enable_cuda_graph") for options in opened] == [None, "1"]


def test_cuda_takes_what_it_needs_where_nothing_is_said(opened: list[dict[str, str]]) -> None:
    open_session(lambda _: b"", SessionSettings())
    assert "gpu_mem_limit" not in opened[0]


@pytest.mark.parametrize(
    ("precision", "unsuitable", "chosen", "weights"),
    [
        ("auto", (), "float16", np.float16),
        ("auto", ("float16", "bfloat16"), "float32", np.float32),
        ("float32", (), "float32", np.float32),
        ("float16", ("float16",), "float16", np.float16),
    ],
)
def test_weights_are_float16_where_cuda_computes_in_it(
    opened: list[dict[str, str]], precision: Any, unsuitable: Any, chosen: str, weights: Any
) -> None:
    built: list[Any] = []
    session = open_session(
        lambda dtype: built.append(dtype) or b"",  # type: ignore[func-returns-value]
        SessionSettings(provider="cuda", precision=precision),
        unsuitable,
    )
    assert (session.precision, built) == (chosen, [weights])


def test_a_precision_that_cuda_lacks_is_refused(opened: list[dict[str, str]]) -> None:
    with pytest.raises(ModelError, match="precision 'bfloat16' on cuda: here there is only float16, float32"):
        open_session(lambda _: b"", SessionSettings(provider="cuda", precision="bfloat16"))


def test_inputs_that_the_model_does_not_read_are_left_out(model: bytes) -> None:
    (output,) = open_session(lambda _: model, CPU).run({**INPUTS, "pixels": np.zeros(1)})
    assert len(output) == 2


def test_inputs_get_the_type_that_the_model_reads(model: bytes) -> None:
    wide = {name: array.astype(np.int64) for name, array in INPUTS.items()}
    assert len(open_session(lambda _: model, CPU).run(wide, "output")) == 1


def test_what_a_file_reads_or_lacks_is_named(model: bytes) -> None:
    session = open_session(lambda _: model, CPU)
    session.expect(["input_ids", "lengths"], "output")
    with pytest.raises(ModelError, match="reads 'lengths', which is not known here, only input_ids"):
        session.expect(["input_ids"], None)
    with pytest.raises(ModelError, match="no output 'sentence_embedding', only output"):
        session.expect(["input_ids", "lengths"], "sentence_embedding")


def test_a_session_tells_how_it_runs(model: bytes) -> None:
    session = open_session(lambda _: model, SessionSettings(provider="cpu", precision="auto", threads=1))
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
    assert session_module.provider_of(SessionSettings()) == chosen


def test_a_provider_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch, model: bytes) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match="provider 'cuda': the installed onnxruntime has only cpu"):
        open_session(lambda _: model, SessionSettings(provider="cuda"))


def test_a_silent_fallback_to_another_provider_is_an_error(monkeypatch: pytest.MonkeyPatch, model: bytes) -> None:
    real = onnxruntime.InferenceSession

    def falls_back(model: bytes, options: Any, providers: Any, **rest: Any) -> Any:
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ModelError, match="asked for cuda, but onnxruntime fell back to CPUExecutionProvider"):
        open_session(lambda _: model, SessionSettings(provider="cuda"))


def test_a_precision_that_the_provider_lacks_is_refused(model: bytes) -> None:
    with pytest.raises(ModelError, match="precision 'float16' on cpu: here there is only float32"):
        open_session(lambda _: model, SessionSettings(provider="cpu", precision="float16"))


@pytest.mark.parametrize(
    ("provider", "has_it", "unsuitable", "chosen"),
    [
        ("openvino", True, (), "bfloat16"),
        ("openvino", True, ("bfloat16",), "float32"),
        ("openvino", False, (), "float32"),
        ("cpu", True, (), "float32"),
    ],
)
def test_auto_precision_is_bfloat16_where_the_processor_has_it_and_the_model_bears_it(
    monkeypatch: pytest.MonkeyPatch, provider: Any, has_it: bool, unsuitable: Any, chosen: str
) -> None:
    monkeypatch.setattr(session_module, "_processor_has_bfloat16", lambda: has_it)
    assert session_module._precision(SessionSettings(), provider, unsuitable) == chosen
    assert session_module._precision(SessionSettings(precision="float32"), provider, ()) == "float32"


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot load the model on cpu"):
        open_session(lambda _: b"no model", CPU)


def test_a_run_that_fails_is_an_internal_error(model: bytes) -> None:
    session = open_session(lambda _: model, CPU)
    with pytest.raises(InternalError, match="the model could not be run"):
        session.run({**INPUTS, "lengths": np.array([[3.5]])})


@pytest.mark.parametrize(
    "settings", [{"provider": "tpu"}, {"precision": "int8"}, {"thread": 2}, {"threads": -1}, {"gpu_mem_limit": 0}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionSettings.model_validate(settings)


TWO_STREAMS = SessionSettings(provider="cpu", threads=2, streams=2)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With how many threads each run went, and before them each session was opened; the models are real."""
    seen: list[int] = []

    class Noted(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, model: bytes, options: Any, **rest: Any) -> None:
            self.threads = options.intra_op_num_threads
            seen.append(self.threads)
            super().__init__(model, options, **rest)

        def run(self, *given: Any) -> Any:
            seen.append(self.threads)
            return super().run(*given)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Noted)
    return seen


def test_a_run_alone_takes_all_threads_and_gives_the_same(model: bytes, threads: list[int]) -> None:
    session = open_session(lambda _: model, TWO_STREAMS)
    (beside,) = session.run(INPUTS)
    with alone():
        (wide,) = session.run(INPUTS)
    session.run(INPUTS)
    assert threads == [1, 2, 1, 2, 1]
    assert wide == pytest.approx(beside, abs=1e-6)


@pytest.mark.skipif("OpenVINOExecutionProvider" not in onnxruntime.get_available_providers(), reason="no OpenVINO")
def test_openvino_gives_the_same_on_one_thread_and_on_all(model: bytes) -> None:
    session = open_session(lambda _: model, SessionSettings(provider="openvino", precision="float32", threads=2))
    (beside,) = session.run(INPUTS)
    with alone():
        (wide,) = session.run(INPUTS)
    assert session._wide is not session._session
    assert wide == pytest.approx(beside, abs=1e-5)


def test_only_the_run_of_the_thread_that_is_alone_is_wide(model: bytes, threads: list[int]) -> None:
    session = open_session(lambda _: model, TWO_STREAMS)
    with ThreadPoolExecutor(1) as other, alone():
        other.submit(session.run, INPUTS).result()
    assert threads == [1, 2, 1]


@pytest.mark.parametrize(
    "narrower", [{"streams": 1}, {"threads": 1}, {"threads": 0}, {"wide_run_limit": 0}, {"wide_run_limit": 100}]
)
def test_one_session_is_enough_if_all_runs_have_all_threads_or_the_model_is_large(
    model: bytes, threads: list[int], narrower: dict[str, int]
) -> None:
    session = open_session(lambda _: model, TWO_STREAMS.model_copy(update=narrower))
    with alone():
        session.run(INPUTS)
    assert len(threads) == 2


def test_a_model_in_a_file_is_as_large_as_all_that_lies_beside_it(
    model: bytes, threads: list[int], tmp_path: Path
) -> None:
    file = tmp_path / "built" / "model.onnx"
    file.parent.mkdir()
    file.write_bytes(model)
    settings = TWO_STREAMS.model_copy(update={"wide_run_limit": len(model)})
    open_session(lambda _: file, settings)
    (file.parent / "weights").write_bytes(b"1")
    open_session(lambda _: file, settings)
    assert threads == [1, 2, 1]


def test_a_gpu_has_no_second_session_for_runs_alone(opened: list[dict[str, str]]) -> None:
    open_session(lambda _: b"", SessionSettings(provider="cuda", threads=2, streams=2))
    assert len(opened) == 1
