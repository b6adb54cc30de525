"""The operators of ONNX that onnxruntime's CUDA provider has, by docs/OperatorKernels.md in its repository.

A kernel without an end is found for the operator of just its version; so what ONNX has changed since runs on the CPU.
"""

from __future__ import annotations

import onnx
from onnx import defs

from deployments.graphs.builder import FUSED

_ONE = {
    "Abs": [13], "Add": [14], "And": [7], "Concat": [13], "Div": [14], "Equal": [13], "Expand": [13], "Gather": [13],
    "GatherND": [13], "Gelu": [20], "Greater": [13], "LayerNormalization": [17], "Less": [13], "LessOrEqual": [16],
    "Log": [13], "MatMul": [13], "Max": [13], "Mul": [14], "Neg": [13], "NonZero": [13], "Pad": [18], "Range": [11],
    "ReduceL2": [18], "ReduceMax": [18], "ReduceSum": [13], "Relu": [14], "Slice": [13], "Softmax": [13],
    "Split": [18], "Sub": [14], "Tanh": [13], "Where": [16],
}  # fmt: skip
"""Those without an end, and where they begin."""

_RANGES = {
    "Cast": (13, 20), "Conv": (11, 21), "Identity": (14, 20), "Reshape": (14, 22), "Shape": (15, 22),
    "Squeeze": (13, 22), "Transpose": (13, 22), "Unsqueeze": (13, 22),
}  # fmt: skip

_FUSED = {
    "Attention", "BiasGelu", "FastGelu", "Gelu", "PackedMultiHeadAttention", "QuickGelu", "RotaryEmbedding",
    "SkipLayerNormalization",
}  # fmt: skip


def without_kernel(model: bytes) -> set[str]:
    """The operators of a model that would run on the CPU."""
    graph = onnx.load_from_string(model)
    (opset,) = (each.version for each in graph.opset_import if not each.domain)
    return {node.op_type for node in graph.graph.node if not _has_kernel(node, opset)}


def _has_kernel(node: onnx.NodeProto, opset: int) -> bool:
    if node.domain == FUSED:
        return node.op_type in _FUSED
    if node.op_type == "SimplifiedLayerNormalization":  # onnxruntime's own, in ONNX's domain
        return True
    version = defs.get_schema(node.op_type, opset).since_version
    first, last = _RANGES.get(node.op_type, (0, -1))
    return version in _ONE.get(node.op_type, []) or first <= version <= last
