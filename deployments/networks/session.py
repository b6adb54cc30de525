"""Runs an ONNX model. No other file imports onnxruntime."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from deployments.catalogue.families import Precision
from deployments.contract import Running
from deployments.errors import InternalError, ModelError
from deployments.networks.alone import is_alone
from deployments.networks.settings import SessionSettings
from deployments.shared_lock import SharedLock

Provider = Literal["cpu", "openvino", "cuda"]

Build = Callable[[npt.DTypeLike], bytes | Path]
"""Makes an ONNX model whose weights are of this type, float32 or float16: its bytes, or the file that holds it."""

Outputs = list[npt.NDArray[Any]]
"""In the order of the model's."""

_PROVIDERS: dict[Provider, str] = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""onnxruntime's names, the fastest first."""

_PRECISIONS: dict[Provider, tuple[Precision, ...]] = {
    "cuda": ("float16", "float32"),
    "openvino": ("bfloat16", "float32"),
    "cpu": ("float32",),
}
"""What each provider can do, the fastest first."""

_OPENVINO_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}

_TYPES = {f"tensor({name})": np.dtype(name) for name in ("int64", "int32", "float16")}
"""By onnxruntime's names. Other inputs are given as they are."""

_NOT_CAPTURED = -1
"""The graph id of a run that is neither captured nor replayed (onnxruntime's page on its CUDA execution provider)."""

_FLASH_FROM = 65
"""Slots from which on flash attention beats the memory-efficient one for queries, keys and values in one tensor:
on an H100, texts of 16 tokens took 3.5 and 1.7 ms of 16 thousand tokens in 12 layers, of 128 tokens 0.76 and 0.89."""

_KERNELS_CACHED = 100
"""OpenVINO keeps what it compiled for each shape. Its own bound (5000) lets a small model grow by hundreds of MB, one
of 1000 still by tens in ten minutes; see benchmarks/NOTES.md."""


CARD = SharedLock()
"""Of the card, for this process: runs share it. What captures has it alone: while CUDA does, no other thread may touch
the card."""


class Session:
    """A loaded model: `provider` and `precision` say how it runs."""

    def __init__(self, session: Any, provider: Provider, precision: Precision, wide: Any = None) -> None:
        """`wide` is the same model on all threads, for runs that have them to themselves; None: there is none."""
        self.provider = provider
        self.precision = precision
        self._session = session
        self._wide = wide or session
        self._inputs = {item.name: _TYPES.get(item.type) for item in session.get_inputs()}
        self._outputs = [item.name for item in session.get_outputs()]

    @property
    def running(self) -> Running:
        """The same, as it is told to whoever asks."""
        return Running(self.provider, self.precision)

    def expect(self, inputs: Collection[str], output: str | None) -> None:
        """Make sure that the model reads nothing but some of these inputs, and gives this output.

        Raises:
            ModelError: names what it reads beside them, or what it gives instead.
        """
        unknown = [name for name in self._inputs if name not in inputs]
        if unknown:
            raise ModelError(f"the ONNX file reads '{unknown[0]}', which is not known here, only {', '.join(inputs)}")
        if output is not None and output not in self._outputs:
            raise ModelError(f"the ONNX file has no output '{output}', only {', '.join(self._outputs)}")

    def run(self, inputs: dict[str, npt.NDArray[Any]], output: str | None = None) -> Outputs:
        """The model's outputs, or only the one of this name, for its inputs by name.

        Inputs have the type that the model reads; those that it does not read are left out.

        Raises:
            InternalError: the run failed.
        """
        session = self._wide if is_alone() else self._session
        try:
            read = {name: _as(inputs[name], dtype) for name, dtype in self._inputs.items()}
            with CARD.shared():
                outputs: Outputs = session.run(output and [output], read)
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise InternalError(f"the model could not be run: {type(error).__name__}") from error
        return outputs


class ReplayedSession:
    """A loaded model on a GPU, whose runs are captured under keys and replayed.

    The inputs of a key always have the shapes of those with which it was captured. onnxruntime keeps what a thread
    captured for this thread alone; so there is one that does all of it.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = {item.name: _TYPES.get(item.type) for item in session.get_inputs()}
        self._captured: dict[Hashable, _Captured] = {}
        self._thread = ThreadPoolExecutor(1, "replays")

    def capture(self, key: Hashable, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
        """Capture a run.

        Raises:
            ModelError: this model cannot be captured.
        """
        try:
            with CARD.alone():
                self._captured[key] = self._thread.submit(self._capture, self._read(inputs)).result()
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise ModelError(f"the model cannot be captured: {error}") from error

    def run(self, key: Hashable, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """The outputs of a run that was captured under this key.

        Raises:
            InternalError: the run failed.
        """
        try:
            with CARD.shared():
                return self._thread.submit(self._replay, self._captured[key], self._read(inputs)).result()
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise InternalError(f"the model could not be run: {type(error).__name__}") from error

    def _read(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        return {name: _as(inputs[name], dtype) for name, dtype in self._inputs.items()}

    def _capture(self, read: Mapping[str, npt.NDArray[Any]]) -> _Captured:
        plain = self._session.run(None, read, _run_options(_NOT_CAPTURED))
        inputs = {name: _on_card(array) for name, array in read.items()}
        outputs = [_on_card(array) for array in plain]
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for item, value in zip(self._session.get_outputs(), outputs, strict=True):
            binding.bind_ortvalue_output(item.name, value)
        options = _run_options(len(self._captured))
        self._session.run_with_iobinding(binding, options)
        return _Captured(binding, options, inputs, outputs)

    def _replay(self, captured: _Captured, read: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        for name, array in read.items():
            captured.inputs[name].update_inplace(array)
        self._session.run_with_iobinding(captured.binding, captured.options)
        return [value.numpy() for value in captured.outputs]


class _Captured(NamedTuple):
    """A run: where its inputs and outputs lie on the card."""

    binding: Any
    options: Any
    inputs: Mapping[str, Any]
    outputs: Sequence[Any]


def _on_card(array: npt.NDArray[Any]) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)


def _run_options(graph: int) -> Any:
    """Of a run that is captured, or replayed, under this number."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options


def _as(array: npt.NDArray[Any], dtype: npt.DTypeLike | None) -> npt.NDArray[Any]:
    return array if dtype is None else array.astype(dtype, copy=False)


def open_session(build: Build, settings: SessionSettings, unsuitable: Collection[Precision] = ()) -> Session:
    """Load the model that `build` makes; `auto` chooses none of the precisions that are `unsuitable` for it.

    Raises:
        ModelError: onnxruntime cannot load it, or not on this provider or in this precision.
    """
    provider = provider_of(settings)
    precision = _precision(settings, provider, unsuitable)
    model = build(_weights(precision))
    session = _load(model, settings, provider, _provider_options(settings, provider, precision))
    return Session(session, provider, precision, _wide(model, settings, provider, precision))


def _wide(model: bytes | Path, settings: SessionSettings, provider: Provider, precision: Precision) -> Any:
    """The same with all threads for one run, if that is not what it has anyway, and its weights are few enough."""
    if provider == "cuda" or settings.streams == 1 or settings.threads <= 1 or _size(model) > settings.wide_run_limit:
        return None
    one = settings.model_copy(update={"streams": 1})
    return _load(model, one, provider, _provider_options(one, provider, precision))


def _size(model: bytes | Path) -> int:
    """In bytes; a file's with all that lies beside it, such as its weights."""
    if isinstance(model, bytes):
        return len(model)
    return sum(path.stat().st_size for path in model.parent.iterdir() if path.is_file())


def open_replayed(build: Build, settings: SessionSettings, unsuitable: Collection[Precision] = ()) -> ReplayedSession:
    """As `open_session`, on CUDA, for runs that are captured.

    Raises:
        ModelError: as above, or a part of the model would not run on the card.
    """
    model = build(_weights(_precision(settings, "cuda", unsuitable)))
    return ReplayedSession(_load(model, settings, "cuda", _cuda_options(settings) | {"enable_cuda_graph": "1"}))


def _weights(precision: Precision) -> npt.DTypeLike:
    return np.float16 if precision == "float16" else np.float32


def _load(model: bytes | Path, settings: SessionSettings, provider: Provider, options: Mapping[str, str]) -> Any:
    try:
        session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            _options(settings, provider),
            providers=[(_PROVIDERS[provider], options)],
            enable_fallback=0,
        )
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise ModelError(f"onnxruntime cannot load the model on {provider}: {error}") from error
    if session.get_providers()[0] != _PROVIDERS[provider]:
        raise ModelError(f"asked for {provider}, but onnxruntime fell back to {session.get_providers()[0]}")
    return session


def provider_of(settings: SessionSettings) -> Provider:
    """The provider that a session with these settings gets.

    Raises:
        ModelError: the installed onnxruntime does not have it.
    """
    available = [name for name in _PROVIDERS if _PROVIDERS[name] in onnxruntime.get_available_providers()]
    if settings.provider == "auto":
        return available[0]
    if settings.provider not in available:
        raise ModelError(f"provider '{settings.provider}': the installed onnxruntime has only {', '.join(available)}")
    return settings.provider


def _precision(settings: SessionSettings, provider: Provider, unsuitable: Collection[Precision]) -> Precision:
    possible = [name for name in _PRECISIONS[provider] if name != "bfloat16" or _processor_has_bfloat16()]
    if settings.precision == "auto":
        return next(name for name in possible if name not in unsuitable)
    if settings.precision not in possible:
        raise ModelError(f"precision '{settings.precision}' on {provider}: here there is only {', '.join(possible)}")
    return settings.precision


def _processor_has_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 here: AVX-512 BF16 or AMX (OpenVINO's provider is for x86-64 only)."""
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text(encoding="utf-8").split() if processor.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _options(settings: SessionSettings, provider: Provider) -> Any:
    options = onnxruntime.SessionOptions()
    # The arena would never return what one large batch took.
    options.enable_cpu_mem_arena = False
    if provider == "openvino":
        # OpenVINO has threads of its own; what it cannot run is an error here, not slow work for the CPU provider.
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    else:
        if provider == "cuda":
            options.log_severity_level = 3  # it warns for each session that what knows only shapes runs on the CPU
        options.intra_op_num_threads = max(1, settings.threads // settings.streams) if settings.threads else 0
        if settings.streams == 1:  # its threads would spin for longer than a run takes, on cores that others need
            options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _provider_options(settings: SessionSettings, provider: Provider, precision: Precision) -> dict[str, str]:
    if provider == "cuda":
        return _cuda_options(settings)
    if provider == "openvino":
        return _openvino_options(settings, precision)
    return {}


def _cuda_options(settings: SessionSettings) -> dict[str, str]:
    """As onnxruntime's page on its CUDA execution provider names them. The pools of two sessions share the limit."""
    os.environ.setdefault("ORT_MIN_SEQ_LEN_FLASH_ATTENTION_PACKED_QKV", str(_FLASH_FROM))  # read as a session opens
    options = {
        "device_id": "0",  # Ray shows a replica no GPU but its own
        "arena_extend_strategy": "kSameAsRequested",  # the default doubles what it takes each time
        "cudnn_conv_algo_search": "HEURISTIC",  # the default times all algorithms again for each new shape
        "use_tf32": "0",  # float32 means float32
    }
    if settings.gpu_mem_limit is not None:
        options["gpu_mem_limit"] = str(settings.gpu_mem_limit // (2 if settings.cuda_graphs else 1))
    return options


def _openvino_options(settings: SessionSettings, precision: Precision) -> dict[str, str]:
    config = {
        "INFERENCE_PRECISION_HINT": _OPENVINO_HINTS[precision],
        "NUM_STREAMS": str(settings.streams),
        "CPU_RUNTIME_CACHE_CAPACITY": str(_KERNELS_CACHED),
    }
    if settings.threads:
        config["INFERENCE_NUM_THREADS"] = str(settings.threads)
    return {"device_type": "CPU", "load_config": json.dumps({"CPU": config})}
