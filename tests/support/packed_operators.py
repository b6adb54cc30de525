"""onnxruntime's operators for packed tokens in numpy, by docs/ContribOperators.md in its repository.

Its CPU provider has no packed attention. So a graph that is made for CUDA is run by onnx's own reference, which shares
no code with onnxruntime.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from deployments.graphs.builder import FUSED
from deployments.networks.session import Session


class PackedMultiHeadAttention(OpRun):
    op_domain = FUSED

    def _run(self, *inputs: Any, num_heads: int, scale: float | None = None, **_: Any) -> tuple[Any, ...]:
        query, key, value, bias, token_offset, starts, scores_bias = (*inputs, None)[:7]
        if query.ndim == 4:  # joined, by heads
            assert (key, value) in (("", ""), (None, None))
            query, key, value = (query[:, :, part].reshape(len(query), -1) for part in range(3))
            biases = [0, 0, 0] if bias is None else np.split(bias, 3)
            query, key, value = (each + more for each, more in zip((query, key, value), biases, strict=True))
        else:
            assert bias is None
        assert token_offset.dtype == starts.dtype == np.int32
        texts, slots = token_offset.shape
        assert len(starts) == texts + 1
        assert starts[-1] == len(query)
        assert_offsets(token_offset, np.diff(starts))
        size = query.shape[1] // num_heads
        output = np.empty((len(query), value.shape[1]), query.dtype)
        if scores_bias is not None:
            assert scores_bias.shape[2:] == (slots, slots)
            assert slots % 8 == 0
            assert scores_bias.dtype == query.dtype
            scores_bias = np.broadcast_to(scores_bias, (texts, num_heads, slots, slots))
        for text, (start, end) in enumerate(pairwise(starts)):
            assert start < end
            heads = [part[start:end].reshape(end - start, num_heads, -1) for part in (query, key, value)]
            q, k, v = (part.transpose(1, 0, 2).astype(np.float32) for part in heads)
            scores = q @ k.transpose(0, 2, 1) * (scale or 1 / math.sqrt(size))
            if scores_bias is not None:
                scores = scores + scores_bias[text, :, : end - start, : end - start].astype(np.float32)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            output[start:end] = (shares @ v).transpose(1, 0, 2).reshape(end - start, -1)
        return (output,)


def assert_offsets(token_offset: Any, lengths: Any) -> None:
    """First the slots of tokens, text by text, then the empty ones."""
    filled = np.arange(token_offset.shape[1]) < lengths[:, None]
    expected = [*np.flatnonzero(filled.reshape(-1)), *np.flatnonzero(~filled.reshape(-1))]
    assert token_offset.reshape(-1).tolist() == expected


class RotaryEmbedding(OpRun):
    op_domain = FUSED

    def _run(self, *inputs: Any, is_packed_batching: int = 0, interleaved: int = 0, **_: Any) -> tuple[Any, ...]:
        value, positions, cosine, sine = inputs
        assert positions.dtype == np.int64
        assert positions.shape == value.shape[:2]
        assert is_packed_batching or value.shape[1] <= len(cosine), "refused: longer than the tables"
        assert not interleaved
        half = cosine.shape[1]
        pairs = value.reshape(*value.shape[:2], -1, 2, half)
        first, second = pairs[..., 0, :], pairs[..., 1, :]
        cos, sin = cosine[positions][:, :, None], sine[positions][:, :, None]
        turned = np.stack([first * cos - second * sin, second * cos + first * sin], axis=-2)
        return (turned.reshape(value.shape).astype(value.dtype),)


class SkipLayerNormalization(OpRun):
    op_domain = FUSED

    def _run(self, value: Any, skip: Any, *weights: Any, epsilon: float = 1e-12) -> tuple[Any, ...]:
        gamma, beta, bias = (*weights, None)[:3]
        assert value.shape == skip.shape
        total = value.astype(np.float32) + skip + (0 if bias is None else bias)
        centred = total - total.mean(axis=-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
        return ((normed * gamma + beta).astype(value.dtype),)


class SimplifiedLayerNormalization(OpRun):
    op_domain = ""

    def _run(self, value: Any, weight: Any, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
        wide = value.astype(np.float32)
        root = np.sqrt((wide**2).mean(axis=axis, keepdims=True) + epsilon)
        return ((wide / root).astype(value.dtype) * weight,)


class BiasGelu(OpRun):
    op_domain = FUSED

    def _run(self, value: Any, bias: Any) -> tuple[Any, ...]:
        total = (value + bias).astype(np.float32)
        erf = np.vectorize(math.erf)(total / math.sqrt(2))
        return ((total * (1 + erf) / 2).astype(value.dtype),)


class Gelu(OpRun):
    op_domain = FUSED

    def _run(self, value: Any, **_: Any) -> tuple[Any, ...]:  # the reference gives it the attributes of ONNX's own
        wide = value.astype(np.float32)
        return ((wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2))) / 2).astype(value.dtype),)


class FastGelu(OpRun):
    op_domain = FUSED

    def _run(self, value: Any) -> tuple[Any, ...]:
        wide = value.astype(np.float32)
        inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
        return ((wide * (1 + np.tanh(inner)) / 2).astype(value.dtype),)


class QuickGelu(OpRun):
    op_domain = FUSED

    def _run(self, value: Any, alpha: float = 1.702) -> tuple[Any, ...]:
        wide = value.astype(np.float32)
        return ((wide / (1 + np.exp(-alpha * wide))).astype(value.dtype),)


class ReferenceSession:
    """What `Session` needs of a session of onnxruntime."""

    def __init__(self, model: bytes) -> None:
        self._graph = onnx.load_from_string(model).graph
        self._evaluator = ReferenceEvaluator(
            onnx.load_from_string(model),
            new_ops=[
                PackedMultiHeadAttention,
                RotaryEmbedding,
                SkipLayerNormalization,
                SimplifiedLayerNormalization,
                BiasGelu,
                Gelu,
                FastGelu,
                QuickGelu,
            ],
        )

    def get_inputs(self) -> list[Any]:
        return [_Named(value.name) for value in self._graph.input]

    def get_outputs(self) -> list[Any]:
        return [_Named(value.name) for value in self._graph.output]

    def run(self, _outputs: None, inputs: dict[str, Any]) -> list[Any]:
        outputs: list[Any] = self._evaluator.run(None, inputs)
        return outputs


class _Named:
    def __init__(self, name: str) -> None:
        self.name, self.type = name, ""


def session(model: bytes, precision: Any = "float32") -> Session:
    """A session that tells that it runs on CUDA."""
    return Session(ReferenceSession(model), "cuda", precision)


class Captured:
    """In place of `ReplayedSession`: runs what has just the shapes that were captured."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.shapes: dict[Any, Any] = {}
        self.runs: list[Any] = []

    def capture(self, key: Any, inputs: dict[str, Any]) -> None:
        self.shapes[key] = _shapes(inputs)

    def run(self, key: Any, inputs: dict[str, Any]) -> list[Any]:
        assert self.shapes[key].items() >= _shapes(inputs).items()
        self.runs.append(key)
        return self._session.run(inputs)


def _shapes(inputs: dict[str, Any]) -> Any:
    return {name: (array.shape, array.dtype) for name, array in inputs.items()}
