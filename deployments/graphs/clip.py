"""CLIP (Radford et al. 2021): a text and an image encoder with one common space. Neither output is normalized."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.graphs import towers
from deployments.graphs.builder import Graph
from deployments.graphs.towers import Preprocessor


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
    hidden = towers.layers(graph, "text", towers.words(graph, ids), {}, unidirectional=1)
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
    hidden = _patches(graph, pixels, preprocessor, size)
    hidden = graph.layer_norm(hidden, "vision_model.pre_layrnorm", epsilon)  # the checkpoints spell it so
    hidden = towers.layers(graph, "vision", hidden, {})
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


def _patches(graph: Graph, pixels: str, preprocessor: Preprocessor, size: int) -> str:
    """The class token and one token a patch, with their positions: `[batch, 1 + patches, hidden]`."""
    checkpoint = graph.checkpoint
    tokens = towers.patches(graph, pixels, preprocessor, size)
    tokens = graph.add("Pad", tokens, graph.constant(np.array([0, 1, 0, 0, 0, 0])))  # room for the class token
    table = checkpoint["vision_model.embeddings.position_embedding.weight"].copy()
    table[0] += checkpoint["vision_model.embeddings.class_embedding"]
    return graph.add("Add", tokens, graph.weight(table))
