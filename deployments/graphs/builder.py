"""Builds an ONNX graph node by node; a value is named by the string that made it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from deployments.architectures.checkpoint import Checkpoint
from deployments.contract import Floats
from deployments.errors import ModelError

FUSED = "com.microsoft"
"""The domain of onnxruntime's fused operators (docs/ContribOperators.md in its repository)."""

_INLINE = 1024
"""Up to so many bytes, a constant stands in the graph itself."""

_PAGE = 4096
"""Where a constant in a file of its own may begin, so that it can be mapped into memory."""

_OPSET = 20
_CUDA_OPSET = 18
"""Of graphs for CUDA: its provider has kernels for the Pad and ReduceMax of this one, and not for those of 19 and 20
(docs/OperatorKernels.md in onnxruntime's repository). They would run on the CPU, and what they read be copied there."""
_IR_VERSION = 10

_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "quick_gelu": ("QuickGelu", {"domain": FUSED}),
    "relu": ("Relu", {}),
    "silu": ("QuickGelu", {"domain": FUSED, "alpha": 1.0}),
    "tanh": ("Tanh", {}),
}
"""The operators behind Hugging Face's names."""

_CUDA_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = _ACTIVATIONS | {
    "gelu": ("Gelu", {"domain": FUSED}),
    "gelu_new": ("FastGelu", {"domain": FUSED}),
    "gelu_pytorch_tanh": ("FastGelu", {"domain": FUSED}),
}
"""The opset of CUDA has no Gelu of its own."""


class Graph:
    """A graph in the making, with the weights of one checkpoint.

    The graph computes in the type of its weights, float32 or float16, but for what is cast on purpose. What is large
    is written to the file `external`, if there is one: a graph with all its weights in it has 2 GiB at most, which is
    protobuf's limit. What is in float16 is `for_cuda` too: no other provider runs it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        weights: npt.DTypeLike = np.float32,
        external: BinaryIO | None = None,
        *,
        for_cuda: bool = False,
    ) -> None:
        self.checkpoint = checkpoint
        self._weights = np.dtype(weights)
        self._external = external
        self._made: dict[Hashable, str] = {}
        for_cuda = for_cuda or self.in_float16
        self._activations = _CUDA_ACTIVATIONS if for_cuda else _ACTIVATIONS
        opsets = [helper.make_opsetid("", _CUDA_OPSET if for_cuda else _OPSET), helper.make_opsetid(FUSED, 1)]
        self._model = onnx.ModelProto(ir_version=_IR_VERSION, opset_import=opsets)
        self._graph = self._model.graph  # filled in place: copies of parts would be copies of all weights
        self._graph.name = "model"

    @property
    def in_float16(self) -> bool:
        """Whether it computes in float16."""
        return self._weights == np.float16

    def input(self, name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> str:
        """An input of the model; a dimension that varies has a name instead of a size."""
        self._graph.input.append(_value(name, dtype, shape))
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        """A constant array as it is."""
        name = f"constant_{len(self._graph.initializer)}"
        tensor = self._graph.initializer.add(name=name, data_type=_element_type(array.dtype), dims=array.shape)
        if self._external is None or array.nbytes <= _INLINE:
            tensor.raw_data = array.tobytes()
        else:
            _write(array, self._external, tensor)
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

    def once(self, key: Hashable, make: Callable[[], str]) -> str:
        """What `make` made when it was asked for under this key for the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """The value cut along its last axis."""
        first = self.add("Split", value, self.constant(np.array(sizes)), unused=len(sizes) - 1, axis=-1)
        return [first, *(f"{first}_unused_{number}" for number in range(len(sizes) - 1))]

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
        if name not in self._activations:
            known = ", ".join(self._activations)
            raise ModelError(f"{self.checkpoint.folder}: hidden_act '{name}' cannot be run here, only {known}")
        operator, attributes = self._activations[name]
        return self.add(operator, value, **attributes)

    def matmul(self, value: str, name: str) -> str:
        """A linear layer without its bias; PyTorch stores the weight as `[out, in]`."""
        return self.add("MatMul", value, self.weight(self.checkpoint[f"{name}.weight"].T))

    def bias(self, name: str) -> str:
        """A linear layer's bias; the empty string if it has none."""
        return self.weight(self.checkpoint[f"{name}.bias"]) if f"{name}.bias" in self.checkpoint else ""

    def linear(self, value: str, name: str) -> str:
        """A linear layer."""
        result, bias = self.matmul(value, name), self.bias(name)
        return self.add("Add", result, bias) if bias else result

    def joined(self, value: str, names: Sequence[str], scale: tuple[int, float] = (0, 1.0)) -> str:
        """Several linear layers in one; their outputs stand one behind the other, the first ones `scale`d."""
        weight, bias = self._joined(names)
        scaled, factor = scale
        if factor != 1:
            weight[:scaled] *= np.float32(factor)
        result = self.add("MatMul", value, self.weight(weight.T))
        if bias is None:
            return result
        bias[:scaled] *= np.float32(factor)
        return self.add("Add", result, self.weight(bias))

    def separate(self, value: str, names: Sequence[str], widths: Sequence[int]) -> list[str]:
        """Several linear layers, however they are joined in the checkpoint, with outputs of these widths."""
        weight, bias = self._joined(names)
        results, ends = [], np.cumsum(widths)
        for end, width in zip(ends, widths, strict=True):
            part = slice(end - width, end)
            result = self.add("MatMul", value, self.weight(weight[part].T))
            results.append(result if bias is None else self.add("Add", result, self.weight(bias[part])))
        return results

    def by_heads(self, value: str, names: Sequence[str], heads: int) -> tuple[str, str]:
        """Several linear layers in one, `[tokens, heads, layers, size of a head]`, and their biases, not added yet.

        The biases stand layer by layer, as onnxruntime's operators take them; empty if there are none.
        """
        weight, bias = self._joined(names)
        size = len(weight) // len(names) // heads
        by_heads = weight.reshape(len(names), heads, size, -1).swapaxes(0, 1).reshape(weight.shape)
        product = self.add("MatMul", value, self.weight(by_heads.T))
        shape = self.constant(np.array([0, heads, len(names), size]))
        return self.add("Reshape", product, shape), "" if bias is None else self.weight(bias)

    def width(self, names: Sequence[str]) -> int:
        """How many numbers several linear layers in one give."""
        return sum(self.checkpoint.shape(f"{name}.weight")[0] for name in names)

    def _joined(self, names: Sequence[str]) -> tuple[Floats, Floats | None]:
        weight: Floats = np.concatenate([self.checkpoint[f"{name}.weight"] for name in names])
        if f"{names[0]}.bias" not in self.checkpoint:
            return weight, None
        return weight, np.concatenate([self.checkpoint[f"{name}.bias"] for name in names])

    def norm_weights(self, name: str) -> tuple[str, str]:
        """The scale and shift of a LayerNorm; some have no shift."""
        weight = self.checkpoint[f"{name}.weight"]
        shift = self.checkpoint[f"{name}.bias"] if f"{name}.bias" in self.checkpoint else np.zeros_like(weight)
        return self.weight(weight), self.weight(shift)

    def layer_norm(self, value: str, name: str, epsilon: float) -> str:
        """A LayerNorm over the last axis; the operator takes its mean and variance in float32 whatever the weights."""
        return self.add("LayerNormalization", value, *self.norm_weights(name), axis=-1, epsilon=epsilon)

    def attention(
        self, value: str, names: Sequence[str], heads: int, *, mask: str = "", bias: str = "", **attributes: int
    ) -> str:
        """Self-attention, without its output layer.

        `names` are the query, key and value layers. A `mask` `[batch]` says how many of each row's first tokens are
        attended to, one `[batch, tokens, tokens]` has 1 where the first token attends to the second. A `bias`
        `[batch or 1, heads or 1, tokens, tokens]` is added to the scores. `attributes` are those of the operator.
        """
        weight, shift = self._joined(names)
        shift = np.zeros(len(weight), np.float32) if shift is None else shift
        inputs = [value, self.weight(weight.T), self.weight(shift), mask, *(["", bias] if bias else [])]
        return self.add("Attention", *inputs, domain=FUSED, num_heads=heads, **attributes)

    def output(self, value: str, name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> None:
        """An output of the model beside its first."""
        self._graph.node.append(helper.make_node("Identity", [value], [name]))
        self._graph.output.append(_value(name, dtype, shape))

    def serialize(self, output: str, shape: Sequence[str | int]) -> bytes:
        """The finished model with its last output, called `output`, in float32 whatever type the value has."""
        self.output(self.to_float32(output), "output", np.float32, shape)
        try:
            return bytes(self._model.SerializeToString())
        except ValueError as error:  # of protobuf
            raise ModelError(
                f"{self.checkpoint.folder}: a graph of more than 2 GiB needs a place for its weights: a cache that can "
                "be written"
            ) from error


def _write(array: npt.NDArray[Any], file: BinaryIO, tensor: onnx.TensorProto) -> None:
    """Write an array to a file, and where it stands there into its tensor."""
    file.write(bytes(-file.tell() % _PAGE))
    place = {"location": Path(file.name).name, "offset": str(file.tell()), "length": str(array.nbytes)}
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    file.write(np.ascontiguousarray(array).data)


def _value(name: str, dtype: npt.DTypeLike, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element_type(dtype), shape)


def _element_type(dtype: npt.DTypeLike) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
