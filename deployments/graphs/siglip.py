"""SigLIP (Zhai et al. 2023) and SigLIP 2 (Tschannen et al. 2025): a text and an image encoder with one common space.

Neither output is normalized. What differs from CLIP: texts are filled up to the window, and what fills them is read
like all else; their last token stands for them. A picture's tokens are pooled by an attention of their own. SigLIP 2
with a fixed size is the same model (`siglip`); the one for any size (`siglip2`, NaFlex) is another.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.architectures.sides import SIGLIP, setting
from deployments.graphs import towers
from deployments.graphs.builder import Graph
from deployments.graphs.towers import Preprocessor


def positions(config: Config) -> int:
    """How many tokens the text encoder can read."""
    return int(setting(config, "text", "max_position_embeddings", SIGLIP))


def text(checkpoint: Checkpoint, weights: npt.DTypeLike = np.float32, *, external: BinaryIO | None = None) -> bytes:
    """A model from `input_ids` int32 `[batch, tokens]`, filled up to the window, to float32 `[batch, dimensions]`.

    `weights` is the type of the weights, and the one that the model computes in: float32 or float16. Large weights are
    written to the file `external`, if there is one.

    Raises:
        ModelError: the checkpoint is no SigLIP, or of a kind not known here.
    """
    checkpoint.expect_architecture("siglip")
    graph = Graph(checkpoint, weights, external)
    ids = graph.input("input_ids", np.int32, ["batch", "tokens"])
    hidden = towers.layers(graph, "text", towers.words(graph, ids), SIGLIP)
    last = graph.add("Gather", hidden, graph.constant(np.array(-1)), axis=1)
    epsilon = setting(checkpoint, "text", "layer_norm_eps", SIGLIP)
    projected = graph.linear(graph.layer_norm(last, "text_model.final_layer_norm", epsilon), "text_model.head")
    checkpoint.expect_all_read("vision_model.*", "logit_*", "text_model.embeddings.*_ids")
    return graph.serialize(projected, ["batch", graph.width(["text_model.head"])])


def vision(
    checkpoint: Checkpoint,
    preprocessor: Preprocessor,
    weights: npt.DTypeLike = np.float32,
    *,
    external: BinaryIO | None = None,
) -> bytes:
    """A model from `pixels` uint8 `[batch, size, size, 3]` to float32 `[batch, dimensions]`.

    Scaling and normalizing the pixels is part of the model.

    Raises:
        ModelError: as for `text`.
    """
    checkpoint.expect_architecture("siglip")
    checkpoint.expect("vision_config", "num_channels", known=3)
    checkpoint.expect("vision_config", "vision_use_head", known=True)
    graph = Graph(checkpoint, weights, external)
    size, epsilon = (setting(checkpoint, "vision", name, SIGLIP) for name in ("image_size", "layer_norm_eps"))
    pixels = graph.input("pixels", np.uint8, ["batch", size, size, 3])
    table = checkpoint["vision_model.embeddings.position_embedding.weight"]
    hidden = graph.add("Add", towers.patches(graph, pixels, preprocessor, size), graph.weight(table))
    hidden = towers.layers(graph, "vision", hidden, SIGLIP)
    hidden = graph.layer_norm(hidden, "vision_model.post_layernorm", epsilon)
    pooled = _pooled(graph, hidden)
    normed = graph.layer_norm(pooled, "vision_model.head.layernorm", epsilon)
    vectors = graph.add("Add", pooled, towers.wide(graph, "vision_model.head.mlp", normed, "vision", SIGLIP))
    checkpoint.expect_all_read("text_model.*", "logit_*", "vision_model.embeddings.*_ids")
    return graph.serialize(vectors, ["batch", table.shape[1]])


def _pooled(graph: Graph, hidden: str) -> str:
    """What a query that was learnt, the probe, sees of a picture's tokens: `[batch, hidden]`.

    Its product with its weights is the same for all pictures, so that it is computed here.
    """
    checkpoint, head = graph.checkpoint, "vision_model.head"
    weight, bias = (checkpoint[f"{head}.attention.in_proj_{name}"] for name in ("weight", "bias"))
    width = weight.shape[1]
    heads = int(setting(checkpoint, "vision", "num_attention_heads", SIGLIP))
    probe = checkpoint[f"{head}.probe"].reshape(1, width) @ weight[:width].T + bias[:width]
    query = graph.weight((probe * (width // heads) ** -0.5).reshape(1, heads, 1, width // heads))
    joined = graph.add("Add", graph.add("MatMul", hidden, graph.weight(weight[width:].T)), graph.weight(bias[width:]))
    by_head = graph.constant(np.array([0, 0, heads, width // heads]))
    key, seen = (graph.add("Reshape", part, by_head) for part in graph.split(joined, [width, width]))
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 2, 3, 1]))
    shares = graph.add("Softmax", scores, axis=-1)
    found = graph.add("MatMul", shares, graph.add("Transpose", seen, perm=[0, 2, 1, 3]))
    flat = graph.add("Reshape", found, graph.constant(np.array([-1, width])))
    return graph.linear(flat, f"{head}.attention.out_proj")
