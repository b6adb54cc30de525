"""Builds an ONNX graph node by node; a value is named by the string that made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from deployments.errors import ModelError
from deployments.graphs.checkpoint import Checkpoint

FUSED = "com.microsoft"
"""The domain of onnxruntime's fused operators (docs/ContribOperators.md in its repository)."""

_OPSET = 20
_IR_VERSION = 10

_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "quick_gelu": ("QuickGelu", {"domain": FUSED}),
    "relu": ("Relu", {}),
}
"""The operators behind Hugging Face's names."""


class Graph:
    """A graph in the making, with the weights of one checkpoint.

    The graph computes in the type of its weights, float32 or float16, but for what is cast on purpose.
    """

    def __init__(self, checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32) -> None:
        self.checkpoint = checkpoint
        self._weights = np.dtype(weights)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FUSED, 1)]
        self._model = onnx.ModelProto(ir_version=_IR_VERSION, opset_import=opsets)
        self._graph = self._model.graph  # filled in place: copies of parts would be copies of all weights
        self._graph.name = "model"

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> str:
        """An input of the model; a dimension that varies has a name instead of a size."""
        self._graph.input.append(_value(name, dtype, shape))
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        """A constant array as it is."""
        name = f"constant_{len(self._graph.initializer)}"
        content = {"raw_data": array.tobytes(), "data_type": _element_type(array.dtype), "dims": array.shape}
        self._graph.initializer.add(name=name, **content)
        return name

    def weight(self, array: npt.NDArray[Any]) -> str:
        """A constant array in the type of the graph's weights."""
        return self.constant(array.astype(self._weights, copy=False))

    def add(self, operator: str, *inputs: str, domain: str = "", unused: int = 0, **attributes: Any) -> str:
        """A node; returns its first output, of which it may have more that are `unused`.

        An optional input that is not given is the empty string.
        """
        name = f"{operator}_{len(self._graph.node)}"
        outputs = [name, *(f"{name}_unused_{number}" for number in range(unused))]
        self._graph.node.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return name

    def cast(self, value: str, dtype: npt.DTypeLike) -> str:
        """The value as another type."""
        return self.add("Cast", value, to=_element_type(dtype))

    def to_weights(self, value: str) -> str:
        """A float32 value in the type of the graph's weights."""
        return value if self._weights == np.float32 else self.cast(value, self._weights)

    def to_float32(self, value: str) -> str:
        """A value of the type of the graph's weights in float32, for sums that need it."""
        return value if self._weights == np.float32 else self.cast(value, np.float32)

    def activate(self, value: str, name: str) -> str:
        """An activation by its name in `config.json`.

        Raises:
            ModelError: there is none of that name.
        """
        if name not in _ACTIVATIONS:
            known = ", ".join(_ACTIVATIONS)
            raise ModelError(f"{self.checkpoint.folder}: hidden_act '{name}' cannot be run here, only {known}")
        operator, attributes = _ACTIVATIONS[name]
        return self.add(operator, value, **attributes)

    def matmul(self, value: str, name: str) -> str:
        """A linear layer without its bias; PyTorch stores the weight as `[out, in]`."""
        return self.add("MatMul", value, self.weight(self.checkpoint[f"{name}.weight"].T))

    def linear(self, value: str, name: str) -> str:
        """A linear layer."""
        return self.add("Add", self.matmul(value, name), self.weight(self.checkpoint[f"{name}.bias"]))

    def norm_weights(self, name: str) -> tuple[str, str]:
        """The scale and shift of a LayerNorm."""
        return self.weight(self.checkpoint[f"{name}.weight"]), self.weight(self.checkpoint[f"{name}.bias"])

    def layer_norm(self, value: str, name: str, epsilon: float) -> str:
        """A LayerNorm over the last axis; the operator takes its mean and variance in float32 whatever the weights."""
        return self.add("LayerNormalization", value, *self.norm_weights(name), axis=-1, epsilon=epsilon)

    def attention(self, value: str, names: Sequence[str], heads: int, *, mask: str = "", causal: bool = False) -> str:
        """Self-attention, without its output layer.

        `names` are the query, key and value layers. A `mask` `[batch]` says how many of each row's first tokens are
        attended to, one `[batch, tokens, tokens]` has 1 where the first token attends to the second.
        """
        weight = np.concatenate([self.checkpoint[f"{name}.weight"] for name in names]).T
        bias = np.concatenate([self.checkpoint[f"{name}.bias"] for name in names])
        inputs = [value, self.weight(weight), self.weight(bias), mask]
        return self.add("Attention", *inputs, domain=FUSED, num_heads=heads, unidirectional=int(causal))

    def serialize(self, output: str, shape: Sequence[str | int]) -> bytes:
        """The finished model with its one output, called `output`, in float32 whatever type the value has."""
        self._graph.node.append(helper.make_node("Identity", [self.to_float32(output)], ["output"]))
        self._graph.output.append(_value("output", np.float32, shape))
        return bytes(self._model.SerializeToString())


def _value(name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element_type(dtype), shape)


def _element_type(dtype: npt.DTypeLike) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
