"""The card's rate of float16 matrix products through onnxruntime: what a network can come near to."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import onnx
from onnx import helper

from deployments.networks.session import open_session
from deployments.networks.settings import SessionSettings

_CHAIN = 8


def rate(settings: SessionSettings, size: int, seconds: float) -> float:
    """Floating point operations a second of products of square matrices of this size, one after the other."""
    half = settings.provider == "cuda"
    session = open_session(lambda _: _chain(size, np.float16 if half else np.float32), settings)
    inputs = {"number": np.ones(1, np.float32)}
    session.run(inputs)
    runs, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        session.run(inputs)
        runs += 1
    return runs * _CHAIN * 2.0 * size**3 / (time.perf_counter() - began)


def _chain(size: int, dtype: type[np.floating]) -> bytes:
    """From one number, a matrix of it that is multiplied again and again; the largest entry leaves the card."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    random = np.random.default_rng(0).standard_normal((size, size), np.float32) / np.float32(size**0.5)
    constants = {
        "factor": random.astype(dtype),
        "shape": np.array([size, size]),
        "axes": np.array([0, 1]),
    }
    products = [f"product_{number}" for number in range(_CHAIN + 1)]
    nodes = [
        helper.make_node("Cast", ["number"], ["narrow"], to=kind),
        helper.make_node("Expand", ["narrow", "shape"], products[:1]),
        *(helper.make_node("MatMul", [before, "factor"], [after]) for before, after in pairwise(products)),
        helper.make_node("ReduceMax", [products[-1], "axes"], ["highest"], keepdims=0),
        helper.make_node("Cast", ["highest"], ["output"], to=onnx.TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("number", onnx.TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", 20)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString())
