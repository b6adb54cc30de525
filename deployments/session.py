"""Runs an ONNX model. No other file imports onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
from pydantic import Field

from deployments.catalogue import Record
from deployments.errors import InternalError, ModelError

Provider = Literal["cpu", "openvino", "cuda"]
Precision = Literal["float32", "bfloat16", "float16"]

_PROVIDERS: dict[Provider, str] = {
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""onnxruntime's names, the fastest first."""

_PRECISIONS: dict[Provider, tuple[Precision, ...]] = {
    "cuda": ("float32",),
    "openvino": ("float32", "bfloat16"),
    "cpu": ("float32",),
}

_OPENVINO_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16"}

_KERNELS_CACHED = 1000
"""OpenVINO keeps what it compiled for each shape; its own bound (5000) lets a small model grow by hundreds of MB."""


class SessionSettings(Record):
    """How a model runs: where, in which precision, and on how many threads (0: one a core).

    `auto` is the fastest provider of the installed onnxruntime, and the fastest precision there that keeps the cosine
    to float32 above 0.9999.
    """

    provider: Literal["auto", "cpu", "openvino", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    threads: int = Field(default=0, ge=0)


class Session:
    """A loaded model: `provider` and `precision` say how it runs."""

    def __init__(self, session: Any, provider: Provider, precision: Precision) -> None:
        self.provider = provider
        self.precision = precision
        self._session = session
        self._inputs = [item.name for item in session.get_inputs()]

    def run(self, inputs: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The model's outputs for its inputs by name; inputs that the model does not read are left out.

        Raises:
            InternalError: the run failed.
        """
        try:
            outputs: list[npt.NDArray[Any]] = self._session.run(None, {name: inputs[name] for name in self._inputs})
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise InternalError(f"the model could not be run: {type(error).__name__}") from error
        return outputs


def open_session(model: bytes | Path, settings: SessionSettings) -> Session:
    """Load a model, given as its bytes or as a file.

    Raises:
        ModelError: onnxruntime cannot load it, or not on this provider or in this precision.
    """
    provider = _provider(settings)
    precision = _precision(settings, provider)
    try:
        session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            _options(settings, provider),
            providers=[(_PROVIDERS[provider], _provider_options(settings, provider, precision))],
            enable_fallback=0,
        )
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise ModelError(f"onnxruntime cannot load the model on {provider}: {error}") from error
    if session.get_providers()[0] != _PROVIDERS[provider]:
        raise ModelError(f"asked for {provider}, but onnxruntime fell back to {session.get_providers()[0]}")
    return Session(session, provider, precision)


def _provider(settings: SessionSettings) -> Provider:
    available = [name for name in _PROVIDERS if _PROVIDERS[name] in onnxruntime.get_available_providers()]
    if settings.provider == "auto":
        return available[0]
    if settings.provider not in available:
        raise ModelError(f"provider '{settings.provider}': the installed onnxruntime has only {', '.join(available)}")
    return settings.provider


def _precision(settings: SessionSettings, provider: Provider) -> Precision:
    possible = [name for name in _PRECISIONS[provider] if name != "bfloat16" or _processor_has_bfloat16()]
    if settings.precision == "auto":
        return possible[-1]
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
    # The arena would never give back what one large batch took.
    options.enable_cpu_mem_arena = False
    if provider == "openvino":
        # OpenVINO has threads of its own; what it cannot run is an error here, not slow work for the CPU provider.
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    else:
        options.intra_op_num_threads = settings.threads
    return options


def _provider_options(settings: SessionSettings, provider: Provider, precision: Precision) -> dict[str, str]:
    if provider != "openvino":
        return {}
    config = {
        "INFERENCE_PRECISION_HINT": _OPENVINO_HINTS[precision],
        "NUM_STREAMS": "1",
        "CPU_RUNTIME_CACHE_CAPACITY": str(_KERNELS_CACHED),
    }
    if settings.threads:
        config["INFERENCE_NUM_THREADS"] = str(settings.threads)
    return {"device_type": "CPU", "load_config": json.dumps({"CPU": config})}
