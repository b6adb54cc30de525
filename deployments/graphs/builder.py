"""Builds an ONNX graph node by node; a value is named by the string that made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from deployments.checkpoint import Checkpoint

FUSED = "com.microsoft"
"""The domain of onnxruntime's fused operators (docs/ContribOperators.md in its repository)."""

_OPSET = 20
_IR_VERSION = 10


class Graph:
    """A graph in the making, with the weights of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> str:
        """An input of the model; a dimension that varies has a name instead of a size."""
        self._inputs.append(_value(name, dtype, shape))
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        """A weight or another constant array."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, domain: str = "", unused: int = 0, **attributes: Any) -> str:
        """A node; returns its first output, of which it may have more that are `unused`.

        An optional input that is not given is the empty string.
        """
        name = f"{operator}_{len(self._nodes)}"
        outputs = [name, *(f"{name}_unused_{number}" for number in range(unused))]
        self._nodes.append(helper.make_node(operator, inputs, outputs, domain=domain, **attributes))
        return name

    def cast(self, value: str, dtype: npt.DTypeLike) -> str:
        """The value as another type."""
        return self.add("Cast", value, to=_element_type(dtype))

    def matmul(self, value: str, name: str) -> str:
        """A linear layer without its bias; PyTorch stores the weight as `[out, in]`."""
        return self.add("MatMul", value, self.constant(self.checkpoint[f"{name}.weight"].T))

    def linear(self, value: str, name: str) -> str:
        """A linear layer."""
        return self.add("Add", self.matmul(value, name), self.constant(self.checkpoint[f"{name}.bias"]))

    def norm_weights(self, name: str) -> tuple[str, str]:
        """The scale and shift of a LayerNorm."""
        return self.constant(self.checkpoint[f"{name}.weight"]), self.constant(self.checkpoint[f"{name}.bias"])

    def layer_norm(self, value: str, name: str, epsilon: float) -> str:
        """A LayerNorm over the last axis."""
        return self.add("LayerNormalization", value, *self.norm_weights(name), axis=-1, epsilon=epsilon)

    def attention(
        self, value: str, names: Sequence[str], heads: int, *, lengths: str = "", causal: bool = False
    ) -> str:
        """Self-attention, without its output layer.

        `names` are the query, key and value layers; of row i, the first `lengths[i]` tokens are attended to.
        """
        weight = np.concatenate([self.checkpoint[f"{name}.weight"] for name in names]).T
        bias = np.concatenate([self.checkpoint[f"{name}.bias"] for name in names])
        inputs = [value, self.constant(weight), self.constant(bias), lengths]
        return self.add("Attention", *inputs, domain=FUSED, num_heads=heads, unidirectional=int(causal))

    def serialize(self, output: str, shape: Sequence[str | int]) -> bytes:
        """The finished model with its one float32 output, called `output`."""
        self._nodes.append(helper.make_node("Identity", [output], ["output"]))
        graph = helper.make_graph(
            self._nodes, "model", self._inputs, [_value("output", np.float32, shape)], self._constants
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FUSED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        return bytes(model.SerializeToString())


def _value(name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element_type(dtype), shape)


def _element_type(dtype: npt.DTypeLike) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
