"""Checkpoints of a few kilobytes with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

HIDDEN, LAYERS, WORDS, POSITIONS = 16, 2, 50, 64


def bert_tensors() -> dict[str, np.ndarray]:
    """A BERT's tensors by their canonical names."""
    random = np.random.default_rng(7)

    def weight(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": weight(WORDS, HIDDEN),
        "embeddings.position_embeddings.weight": weight(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": weight(2, HIDDEN),
    }
    linear = {
        "attention.self.query": 1,
        "attention.self.key": 1,
        "attention.self.value": 1,
        "attention.output.dense": 1,
    }
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for name in linear:
            tensors |= {f"{layer}.{name}.weight": weight(HIDDEN, HIDDEN), f"{layer}.{name}.bias": weight(HIDDEN)}
        wide = 4 * HIDDEN
        tensors |= {f"{layer}.intermediate.dense.weight": weight(wide, HIDDEN)}
        tensors |= {f"{layer}.intermediate.dense.bias": weight(wide)}
        tensors |= {f"{layer}.output.dense.weight": weight(HIDDEN, wide), f"{layer}.output.dense.bias": weight(HIDDEN)}
    norms = ["embeddings", *(f"encoder.layer.{n}.{part}output" for n in range(LAYERS) for part in ("attention.", ""))]
    for norm in norms:
        tensors |= {f"{norm}.LayerNorm.weight": 1 + weight(HIDDEN), f"{norm}.LayerNorm.bias": weight(HIDDEN)}
    return tensors


def write(folder: Path, tensors: dict[str, np.ndarray], **config: Any) -> Path:
    """Write a checkpoint; `config` goes over that of a BERT with these tensors, None takes a key away."""
    plain = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "vocab_size": WORDS,
    }
    merged = {name: value for name, value in (plain | config).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(merged))
    save_file(tensors, folder / "model.safetensors")
    return folder
