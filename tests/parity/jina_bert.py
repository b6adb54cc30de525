"""Jina BERT in PyTorch, which transformers does not have; after Günther et al. 2023 and Press et al. 2021."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn import functional


def jina_bert(folder: Path) -> Callable[[Any], Any]:
    """From the ids `[1, tokens]` of one text to its hidden states `[tokens, hidden]`."""
    tensors, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

    def linear(value: Any, name: str) -> Any:
        return functional.linear(value, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))

    def norm(value: Any, name: str) -> Any:
        weight = tensors[f"{name}.weight"]
        return functional.layer_norm(value, weight.shape, weight, tensors[f"{name}.bias"], epsilon)

    def attended(value: Any, layer: str) -> Any:
        tokens = len(value)
        query, key, seen = (
            linear(value, f"{layer}.attention.self.{part}").view(tokens, heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        places = torch.arange(tokens)
        away = (places[:, None] - places[None, :]).abs()
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]) - _slopes(heads)[:, None, None] * away
        return (scores.softmax(-1) @ seen).transpose(0, 1).reshape(tokens, -1)

    def hidden_states(ids: Any) -> Any:
        words, segments = (tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "token_type"))
        hidden = norm(words[ids[0]] + segments[0], "embeddings.LayerNorm")
        for layer in (f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])):
            added = linear(attended(hidden, layer), f"{layer}.attention.output.dense")
            hidden = norm(hidden + added, f"{layer}.attention.output.LayerNorm")
            gate, value = linear(hidden, f"{layer}.mlp.gated_layers").chunk(2, dim=-1)
            added = linear(functional.gelu(gate) * value, f"{layer}.mlp.wo")
            hidden = norm(hidden + added, f"{layer}.mlp.layernorm")
        return hidden

    return hidden_states


def _slopes(heads: int) -> Any:
    """1/2, 1/4, ... for eight heads; what is missing to a power of two is taken from between."""
    closest = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * step / closest) for step in range(1, closest + 1)]
    between = [2 ** (-4 * step / closest) for step in range(1, 2 * closest + 1, 2)]
    return torch.tensor((slopes + between)[:heads])
