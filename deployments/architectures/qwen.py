"""Qwen3 (Yang et al. 2025), as its embedding models use it: looks back only, and the last token stands for the text."""

from __future__ import annotations

from deployments.architectures.checkpoint import Config
from deployments.architectures.rotary import rotary
from deployments.architectures.transformer import Attention, Embedding, Mlp, Norm, Residual, Sight, Transformer


def read(config: Config) -> Transformer:
    """A Qwen3."""
    config.expect("use_sliding_window", known=False)
    return Transformer(
        hidden=config.setting("hidden_size"),
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(words="embed_tokens"),
        residuals=[
            part for number in range(config.setting("num_hidden_layers")) for part in _layer(config, f"layers.{number}")
        ],
        norm=Norm("rms", config.setting("rms_norm_eps")),
        final_norm="norm",
        unused=("lm_head.*", "*.rotary_emb.inv_freq"),
    )


def _layer(config: Config, layer: str) -> list[Residual]:
    heads = config.setting("num_attention_heads")
    size = config.setting("head_dim", default=config.setting("hidden_size") // heads)
    attention = Attention(
        tuple(f"{layer}.self_attn.{part}_proj" for part in "qkv"),
        f"{layer}.self_attn.o_proj",
        heads,
        size,
        config.setting("num_key_value_heads", default=heads),
        Sight(causal=True),
        rotary(config, size),
        norms=(f"{layer}.self_attn.q_norm", f"{layer}.self_attn.k_norm"),
    )
    wide = (f"{layer}.mlp.gate_proj", f"{layer}.mlp.up_proj")
    mlp = Mlp(wide, f"{layer}.mlp.down_proj", config.setting("hidden_act"), "first half")
    return [
        Residual(attention, before=f"{layer}.input_layernorm"),
        Residual(mlp, before=f"{layer}.post_attention_layernorm"),
    ]
