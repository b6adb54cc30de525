"""Nomic BERT (Nussbaum et al. 2024): a BERT with rotary positions, gates, and no biases in its linear layers."""

from __future__ import annotations

from typing import Any

from deployments.architectures.checkpoint import Config
from deployments.architectures.rotary import rotary
from deployments.architectures.transformer import Attention, Embedding, Mlp, Norm, Residual, Rope, Transformer, rope

_EXPECTED: dict[str, Any] = {
    "prenorm": False,
    "parallel_block": False,
    "use_rms_norm": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "scale_attn_weights": True,
    "causal": False,
}
_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu"}


def read(config: Config) -> Transformer:
    """A Nomic BERT, with the settings of its own code or of transformers."""
    own = config.setting("n_embd", default=0) > 0
    if own:
        for name, known in _EXPECTED.items():
            config.expect(name, known=known)
    hidden, heads, layers, epsilon, activation = (
        config.setting(*names)
        for names in (
            ("n_embd" if own else "hidden_size",),
            ("n_head" if own else "num_attention_heads",),
            ("n_layer" if own else "num_hidden_layers",),
            ("layer_norm_epsilon" if own else "layer_norm_eps",),
            ("activation_function" if own else "hidden_act",),
        )
    )
    turned = _own_rope(config, hidden // heads) if own else rotary(config, hidden // heads, defaults=(1e3, 1e3))
    activation = _ACTIVATIONS.get(activation, activation)
    return Transformer(
        hidden=hidden,
        positions=turned.positions,
        embedding=Embedding(
            words="embeddings.word_embeddings", segments="embeddings.token_type_embeddings", norm="emb_ln"
        ),
        residuals=[
            part for n in range(layers) for part in _layer(f"encoder.layers.{n}", heads, hidden, activation, turned)
        ],
        norm=Norm("layer", epsilon),
        unused=("pooler.*", "cls.*"),
    )


def _own_rope(config: Config, size: int) -> Rope:
    """Beyond the positions that it was trained with, the angles of its own code depend on the text's length."""
    config.expect("rotary_emb_scale_base", known=None)
    positions = config.setting("max_trained_positions", default=config.setting("n_positions"))
    return rope(config.setting("rotary_emb_base", default=10e3), size, min(positions, config.setting("n_positions")))


def _layer(layer: str, heads: int, hidden: int, activation: str, turned: Rope) -> list[Residual]:
    attention = Attention((f"{layer}.attn.Wqkv",), f"{layer}.attn.out_proj", heads, hidden // heads, heads, rope=turned)
    mlp = Mlp((f"{layer}.mlp.fc11", f"{layer}.mlp.fc12"), f"{layer}.mlp.fc2", activation, "second half")
    return [Residual(attention, after=f"{layer}.norm1"), Residual(mlp, after=f"{layer}.norm2")]
