"""CLIP (Radford et al. 2021): a text and an image encoder with one common space. Neither output is normalized."""

from __future__ import annotations

from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.contract import Floats
from deployments.graphs.builder import Graph

Channels = tuple[float, float, float]

_MIDDLE = 128
"""Of a pixel's values."""


class Preprocessor(BaseModel):
    """What preprocessor_config.json says of pixel values: (pixel * rescale_factor - image_mean) / image_std."""

    image_mean: Channels
    image_std: Channels
    rescale_factor: float = 1 / 255
    do_rescale: Literal[True] = True
    do_normalize: Literal[True] = True

    def scale_and_shift(self) -> tuple[Floats, Floats]:
        """The same as pixel * scale + shift, one of each a channel: float32 `[3]`."""
        mean, std = np.array(self.image_mean, np.float32), np.array(self.image_std, np.float32)
        return np.float32(self.rescale_factor) / std, -mean / std


def positions(config: Config) -> int:
    """How many tokens the text encoder can read."""
    return int(config.setting("text_config", "max_position_embeddings"))


def text(checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32, *, external: BinaryIO | None = None) -> bytes:
    """A model from `input_ids` int32 `[batch, tokens]`, filled up with zeros, to float32 `[batch, projection]`.

    The result is read at the first end-of-text token. Attention looks back only, so what comes after it changes
    nothing. `weights` is the type of the weights, and the one that the model computes in: float32 or float16. Large
    weights are written to the file `external`, if there is one.

    Raises:
        ModelError: the checkpoint is no CLIP, or of a kind not known here.
    """
    checkpoint.expect_architecture("clip")
    graph = Graph(checkpoint, weights, external)
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    words = graph.weight(checkpoint["text_model.embeddings.token_embedding.weight"])
    table = graph.weight(checkpoint["text_model.embeddings.position_embedding.weight"])
    start = graph.constant(np.array([0]))
    table = graph.add("Slice", table, start, graph.add("Shape", ids, start=1, end=2), start)
    hidden = graph.add("Add", graph.add("Gather", words, ids), table)
    hidden = _layers(graph, "text", hidden)
    hidden = graph.add("GatherND", hidden, _end_of_text(graph, ids), batch_dims=1)
    epsilon = checkpoint.setting("text_config", "layer_norm_eps")
    hidden = graph.layer_norm(hidden, "text_model.final_layer_norm", epsilon)
    projected = graph.matmul(hidden, "text_projection")
    checkpoint.expect_all_read("vision_model.*", "visual_projection.*", "logit_scale", "text_model.embeddings.*_ids")
    return graph.serialize(projected, ["batch", checkpoint.setting("projection_dim")])


def vision(
    checkpoint: Checkpoint,
    preprocessor: Preprocessor,
    weights: npt.DTypeLike = np.float32,
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model from `pixels` uint8 `[batch, size, size, 3]` to float32 `[batch, projection]`.

    Scaling and normalizing the pixels is part of the model.

    Raises:
        ModelError: as for `text`.
    """
    checkpoint.expect_architecture("clip")
    checkpoint.expect("vision_config", "num_channels", known=3)
    graph = Graph(checkpoint, weights, external)
    size, epsilon = (checkpoint.setting("vision_config", name) for name in ("image_size", "layer_norm_eps"))
    pixels = graph.input("pixels", np.uint8, ["batch", size, size, 3])
    hidden = _patches(graph, pixels, preprocessor)
    hidden = graph.layer_norm(hidden, "vision_model.pre_layrnorm", epsilon)  # the checkpoints spell it so
    hidden = _layers(graph, "vision", hidden)
    hidden = graph.add("Gather", hidden, graph.constant(np.array(0)), axis=1)
    hidden = graph.layer_norm(hidden, "vision_model.post_layernorm", epsilon)
    projected = graph.matmul(hidden, "visual_projection")
    checkpoint.expect_all_read("text_model.*", "text_projection.*", "logit_scale", "vision_model.embeddings.*_ids")
    return graph.serialize(projected, ["batch", checkpoint.setting("projection_dim")])


def _end_of_text(graph: Graph, ids: str) -> str:
    """The position of each row's first end-of-text token.

    Old checkpoints say 2 and mean the token with the highest id of all.
    """
    token = graph.checkpoint.setting("text_config", "eos_token_id", default=2)
    if token != 2:  # noqa: PLR2004
        ids = graph.cast(graph.add("Equal", ids, graph.constant(np.array(token, np.int32))), np.int32)
    return graph.add("ArgMax", ids, axis=1)


def _patches(graph: Graph, pixels: str, preprocessor: Preprocessor) -> str:
    """The class token and one token a patch, with their positions: `[batch, 1 + patches, hidden]`."""
    checkpoint = graph.checkpoint
    embed = _patches_in_float16 if graph.in_float16 else _patches_in_float32
    tokens = embed(graph, pixels, *_patch_layer(checkpoint, preprocessor))
    tokens = graph.add("Pad", tokens, graph.constant(np.array([0, 1, 0, 0, 0, 0])))  # room for the class token
    table = checkpoint["vision_model.embeddings.position_embedding.weight"].copy()
    table[0] += checkpoint["vision_model.embeddings.class_embedding"]
    return graph.add("Add", tokens, graph.weight(table))


def _patches_in_float32(graph: Graph, pixels: str, weight: Floats, bias: Floats) -> str:
    width, size = weight.shape[0], list(weight.shape[2:])
    planes = graph.add("Transpose", graph.cast(pixels, np.float32), perm=[0, 3, 1, 2])
    grid = graph.add("Conv", planes, graph.constant(weight), graph.constant(bias), kernel_shape=size, strides=size)
    rows = graph.add("Reshape", grid, graph.constant(np.array([0, width, -1])))
    return graph.add("Transpose", rows, perm=[0, 2, 1])


def _patches_in_float16(graph: Graph, pixels: str, weight: Floats, bias: Floats) -> str:
    """As a product of matrices, which sums up in float32 on a GPU whatever its inputs are.

    Pixels become numbers from -1 on, below 1, that float16 holds exactly; so no sum is large before its bias makes it
    small, and no weight so small that float16 loses bits of it.
    """
    width, side = weight.shape[0], weight.shape[2]
    size = int(graph.checkpoint.setting("vision_config", "image_size"))
    cells = graph.constant(np.array([0, size // side, side, size // side, 3 * side]))
    cut = graph.add("Transpose", graph.add("Reshape", pixels, cells), perm=[0, 1, 3, 2, 4])
    flat = graph.add("Reshape", cut, graph.constant(np.array([0, (size // side) ** 2, 3 * side**2])))
    half, one = (graph.weight(np.array(value, np.float32)) for value in (1 / _MIDDLE, 1.0))
    centred = graph.add("Sub", graph.add("Mul", graph.cast(flat, np.float16), half), one)
    matrix = weight.transpose(2, 3, 1, 0).reshape(-1, width) * np.float32(_MIDDLE)
    rows = graph.add("MatMul", centred, graph.weight(matrix))
    return graph.add("Add", rows, graph.weight(bias + matrix.sum(axis=0)))


def _patch_layer(checkpoint: Checkpoint, preprocessor: Preprocessor) -> tuple[Floats, Floats]:
    """The convolution that embeds patches, changed to take raw pixels: w(x * scale + shift) = w'x + b."""
    weight = checkpoint["vision_model.embeddings.patch_embedding.weight"]
    scale, shift = (each[:, None, None] for each in preprocessor.scale_and_shift())
    bias: Floats = (weight * shift).sum(axis=(1, 2, 3))
    return weight * scale, bias


def _layers(graph: Graph, side: str, hidden: str) -> str:
    """The transformer: LayerNorms stand before attention and before the wide layer, not after."""
    checkpoint, config = graph.checkpoint, f"{side}_config"
    heads, epsilon = (checkpoint.setting(config, name) for name in ("num_attention_heads", "layer_norm_eps"))
    activation = checkpoint.setting(config, "hidden_act")
    for number in range(checkpoint.setting(config, "num_hidden_layers")):
        layer = f"{side}_model.encoder.layers.{number}"
        names = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm1", epsilon)
        attended = graph.attention(normed, names, heads, unidirectional=int(side == "text"))
        hidden = graph.add("Add", hidden, graph.linear(attended, f"{layer}.self_attn.out_proj"))
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm2", epsilon)
        wide = graph.activate(graph.linear(normed, f"{layer}.mlp.fc1"), activation)
        hidden = graph.add("Add", hidden, graph.linear(wide, f"{layer}.mlp.fc2"))
    return hidden
