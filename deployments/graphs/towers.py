"""What both sides of CLIP and SigLIP share: pixels, patches, and the layers of a transformer."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, Field

from deployments.architectures.sides import Defaults, setting
from deployments.contract import Floats
from deployments.graphs.builder import Graph

Channels = tuple[float, float, float]

_MIDDLE = 128
"""Of a pixel's values."""


class Preprocessor(BaseModel):
    """What preprocessor_config.json says of pixel values: (pixel * rescale_factor - image_mean) / image_std.

    Jina's has the names `mean` and `std`.
    """

    image_mean: Channels = Field(validation_alias=AliasChoices("image_mean", "mean"))
    image_std: Channels = Field(validation_alias=AliasChoices("image_std", "std"))
    rescale_factor: float = 1 / 255
    do_rescale: Literal[True] = True
    do_normalize: Literal[True] = True

    def scale_and_shift(self) -> tuple[Floats, Floats]:
        """The same as pixel * scale + shift, one of each a channel: float32 `[3]`."""
        mean, std = np.array(self.image_mean, np.float32), np.array(self.image_std, np.float32)
        return np.float32(self.rescale_factor) / std, -mean / std


def patches(graph: Graph, pixels: str, preprocessor: Preprocessor, size: int) -> str:
    """One token a patch of images `[batch, size, size, 3]`, without its position: `[batch, patches, hidden]`."""
    weight, bias = _patch_layer(graph, preprocessor)
    if graph.in_float16:
        return _patches_in_float16(graph, pixels, weight, bias, size)
    return _patches_in_float32(graph, pixels, weight, bias)


def _patches_in_float32(graph: Graph, pixels: str, weight: Floats, bias: Floats) -> str:
    width, size = weight.shape[0], list(weight.shape[2:])
    planes = graph.add("Transpose", graph.cast(pixels, np.float32), perm=[0, 3, 1, 2])
    grid = graph.add("Conv", planes, graph.constant(weight), graph.constant(bias), kernel_shape=size, strides=size)
    rows = graph.add("Reshape", grid, graph.constant(np.array([0, width, -1])))
    return graph.add("Transpose", rows, perm=[0, 2, 1])


def _patches_in_float16(graph: Graph, pixels: str, weight: Floats, bias: Floats, size: int) -> str:
    """As a product of matrices, which sums up in float32 on a GPU whatever its inputs are.

    Pixels become numbers from -1 on, below 1, that float16 holds exactly; so no sum is large before its bias makes it
    small, and no weight so small that float16 loses bits of it.
    """
    width, side = weight.shape[0], weight.shape[2]
    if rest := size % side:  # is no part of any patch
        size -= rest
        bounds = ([0, 0], [size, size], [1, 2])
        pixels = graph.add("Slice", pixels, *(graph.constant(np.array(bound)) for bound in bounds))
    cells = graph.constant(np.array([0, size // side, side, size // side, 3 * side]))
    cut = graph.add("Transpose", graph.add("Reshape", pixels, cells), perm=[0, 1, 3, 2, 4])
    flat = graph.add("Reshape", cut, graph.constant(np.array([0, (size // side) ** 2, 3 * side**2])))
    half, one = (graph.weight(np.array(value, np.float32)) for value in (1 / _MIDDLE, 1.0))
    centred = graph.add("Sub", graph.add("Mul", graph.cast(flat, np.float16), half), one)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, width) * np.float32(_MIDDLE)
    rows = graph.add("MatMul", centred, graph.weight(matrix))
    return graph.add("Add", rows, graph.weight(bias + matrix.sum(axis=0)))


def _patch_layer(graph: Graph, preprocessor: Preprocessor) -> tuple[Floats, Floats]:
    """The convolution that embeds patches, changed to take raw pixels: w(x * scale + shift) + c = w'x + b."""
    layer = "vision_model.embeddings.patch_embedding"
    weight = graph.checkpoint[f"{layer}.weight"]
    scale, shift = (each[:, None, None] for each in preprocessor.scale_and_shift())
    bias: Floats = (weight * shift).sum(axis=(1, 2, 3))
    if f"{layer}.bias" in graph.checkpoint:
        bias = bias + graph.checkpoint[f"{layer}.bias"]
    return weight * scale, bias


def words(graph: Graph, ids: str) -> str:
    """The first hidden states of texts: words and positions."""
    checkpoint = graph.checkpoint
    table = graph.weight(checkpoint["text_model.embeddings.position_embedding.weight"])
    start = graph.constant(np.array([0]))
    table = graph.add("Slice", table, start, graph.add("Shape", ids, start=1, end=2), start)
    embedded = graph.add("Gather", graph.weight(checkpoint["text_model.embeddings.token_embedding.weight"]), ids)
    return graph.add("Add", embedded, table)


def layers(graph: Graph, side: str, hidden: str, defaults: Defaults, unidirectional: int = 0) -> str:
    """The transformer: LayerNorms stand before attention and before the wide layer, not after."""
    checkpoint = graph.checkpoint
    count, heads, epsilon = (
        setting(checkpoint, side, name, defaults)
        for name in ("num_hidden_layers", "num_attention_heads", "layer_norm_eps")
    )
    for number in range(count):
        layer = f"{side}_model.encoder.layers.{number}"
        names = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm1", epsilon)
        attended = graph.attention(normed, names, heads, unidirectional=unidirectional)
        hidden = graph.add("Add", hidden, graph.linear(attended, f"{layer}.self_attn.out_proj"))
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm2", epsilon)
        hidden = graph.add("Add", hidden, wide(graph, f"{layer}.mlp", normed, side, defaults))
    return hidden


def wide(graph: Graph, name: str, value: str, side: str, defaults: Defaults) -> str:
    """The wide layer with its activation, and the narrow one."""
    activation = setting(graph.checkpoint, side, "hidden_act", defaults)
    return graph.linear(graph.activate(graph.linear(value, f"{name}.fc1"), activation), f"{name}.fc2")
