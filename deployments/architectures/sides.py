"""The settings of models with two sides, `text` and `vision`, each in a part of its own of the `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.architectures.checkpoint import Config

Defaults = Mapping[str, Any]
"""Settings that transformers leaves out of a config.json."""

SIGLIP: Defaults = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 64,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 16,
}
"""The config.json of SigLIP's base models has none of them."""


def setting(config: Config, side: str, name: str, defaults: Defaults) -> Any:
    """A setting of one side.

    Raises:
        ModelError: there is none, and no default.
    """
    return config.setting(f"{side}_config", name, default=defaults.get(name))
