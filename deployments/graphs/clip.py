"""CLIP (Radford et al. 2021): a text and an image encoder with one common space. Neither output is normalized."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel

from deployments.checkpoint import Checkpoint
from deployments.contract import Floats
from deployments.errors import ModelError
from deployments.graphs.builder import FUSED, Graph

Channels = tuple[float, float, float]


class Preprocessor(BaseModel):
    """What preprocessor_config.json says of pixel values: (pixel * rescale_factor - image_mean) / image_std."""

    image_mean: Channels
    image_std: Channels
    rescale_factor: float = 1 / 255


def text(checkpoint: Checkpoint) -> bytes:
    """A model from `input_ids` int32 `[batch, tokens]`, filled up with zeros, to float32 `[batch, projection]`.

    The result is read at the first end-of-text token, which has the highest id of all. Attention looks back only, so
    what comes after it changes nothing.

    Raises:
        ModelError: the checkpoint is no CLIP, or of a kind not known here.
    """
    checkpoint.expect_architecture("clip")
    graph = Graph(checkpoint)
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    words = graph.constant(checkpoint["text_model.embeddings.token_embedding.weight"])
    positions = graph.constant(checkpoint["text_model.embeddings.position_embedding.weight"])
    start = graph.constant(np.array([0]))
    positions = graph.add("Slice", positions, start, graph.add("Shape", ids, start=1, end=2), start)
    hidden = graph.add("Add", graph.add("Gather", words, ids), positions)
    hidden = _layers(graph, "text", hidden)
    hidden = graph.add("GatherND", hidden, graph.add("ArgMax", ids, axis=1), batch_dims=1)
    epsilon = checkpoint.setting("text_config", "layer_norm_eps")
    hidden = graph.layer_norm(hidden, "text_model.final_layer_norm", epsilon)
    return graph.serialize(graph.matmul(hidden, "text_projection"), ["batch", checkpoint.setting("projection_dim")])


def vision(checkpoint: Checkpoint, preprocessor: Preprocessor) -> bytes:
    """A model from `pixels` uint8 `[batch, size, size, 3]` to float32 `[batch, projection]`.

    Scaling and normalizing the pixels is part of the model.

    Raises:
        ModelError: as for `text`.
    """
    checkpoint.expect_architecture("clip")
    graph = Graph(checkpoint)
    size, epsilon = (checkpoint.setting("vision_config", name) for name in ("image_size", "layer_norm_eps"))
    pixels = graph.input("pixels", np.uint8, ["batch", size, size, 3])
    hidden = _patches(graph, pixels, preprocessor)
    hidden = graph.layer_norm(hidden, "vision_model.pre_layrnorm", epsilon)  # the checkpoints spell it so
    hidden = _layers(graph, "vision", hidden)
    hidden = graph.add("Gather", hidden, graph.constant(np.array(0)), axis=1)
    hidden = graph.layer_norm(hidden, "vision_model.post_layernorm", epsilon)
    return graph.serialize(graph.matmul(hidden, "visual_projection"), ["batch", checkpoint.setting("projection_dim")])


def _patches(graph: Graph, pixels: str, preprocessor: Preprocessor) -> str:
    """The class token and one token a patch, with their positions: `[batch, 1 + patches, hidden]`."""
    checkpoint = graph.checkpoint
    weight, bias = _patch_layer(checkpoint, preprocessor)
    width, size = weight.shape[0], list(weight.shape[2:])
    planes = graph.add("Transpose", graph.cast(pixels, np.float32), perm=[0, 3, 1, 2])
    grid = graph.add("Conv", planes, graph.constant(weight), graph.constant(bias), kernel_shape=size, strides=size)
    rows = graph.add("Reshape", grid, graph.constant(np.array([0, width, -1])))
    tokens = graph.add("Transpose", rows, perm=[0, 2, 1])
    tokens = graph.add("Pad", tokens, graph.constant(np.array([0, 1, 0, 0, 0, 0])))  # room for the class token
    positions = checkpoint["vision_model.embeddings.position_embedding.weight"]
    positions[0] += checkpoint["vision_model.embeddings.class_embedding"]
    return graph.add("Add", tokens, graph.constant(positions))


def _patch_layer(checkpoint: Checkpoint, preprocessor: Preprocessor) -> tuple[Floats, Floats]:
    """The convolution that embeds patches, changed to take raw pixels: w((x * scale - mean) / std) = w'x + b."""
    weight = checkpoint["vision_model.embeddings.patch_embedding.weight"]
    mean = np.array(preprocessor.image_mean, np.float32)[:, None, None]
    std = np.array(preprocessor.image_std, np.float32)[:, None, None]
    bias: Floats = -(weight * (mean / std)).sum(axis=(1, 2, 3))
    return weight * (np.float32(preprocessor.rescale_factor) / std), bias


def _layers(graph: Graph, side: str, hidden: str) -> str:
    """The transformer: LayerNorms stand before attention and before the wide layer, not after."""
    checkpoint, config = graph.checkpoint, f"{side}_config"
    heads, epsilon = (checkpoint.setting(config, name) for name in ("num_attention_heads", "layer_norm_eps"))
    activation = _activation(checkpoint, config)
    for number in range(checkpoint.setting(config, "num_hidden_layers")):
        layer = f"{side}_model.encoder.layers.{number}"
        names = [f"{layer}.self_attn.{part}_proj" for part in "qkv"]
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm1", epsilon)
        attended = graph.attention(normed, names, heads, causal=side == "text")
        hidden = graph.add("Add", hidden, graph.linear(attended, f"{layer}.self_attn.out_proj"))
        normed = graph.layer_norm(hidden, f"{layer}.layer_norm2", epsilon)
        wide = graph.add(activation[0], graph.linear(normed, f"{layer}.mlp.fc1"), domain=activation[1])
        hidden = graph.add("Add", hidden, graph.linear(wide, f"{layer}.mlp.fc2"))
    return hidden


def _activation(checkpoint: Checkpoint, config: str) -> tuple[str, str]:
    """The operator and its domain."""
    known = {"quick_gelu": ("QuickGelu", FUSED), "gelu": ("Gelu", "")}
    name = checkpoint.setting(config, "hidden_act")
    if name not in known:
        raise ModelError(f"{checkpoint.folder}: {config}.hidden_act '{name}' cannot be run, only {', '.join(known)}")
    return known[name]
