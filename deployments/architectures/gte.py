"""The encoder of GTE (Zhang et al. 2024), which its own code calls "new": a BERT with rotary positions and gates."""

from __future__ import annotations

from deployments.architectures.checkpoint import Config
from deployments.architectures.rotary import rotary
from deployments.architectures.transformer import Attention, Embedding, Mlp, Norm, Residual, Transformer


def read(config: Config) -> Transformer:
    """A GTE."""
    config.expect("position_embedding_type", known="rope")
    config.expect("layer_norm_type", known="layer_norm")
    config.expect("pack_qkv", known=True)
    config.expect("logn_attention_scale", known=False)
    return Transformer(
        hidden=config.setting("hidden_size"),
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(
            words="embeddings.word_embeddings",
            segments="embeddings.token_type_embeddings",
            norm="embeddings.LayerNorm",
        ),
        residuals=[
            part
            for number in range(config.setting("num_hidden_layers"))
            for part in _layer(config, f"encoder.layer.{number}")
        ],
        norm=Norm("layer", config.setting("layer_norm_eps")),
        unused=("pooler.*", "lm_head.*", "classifier.*"),
    )


def _layer(config: Config, layer: str) -> list[Residual]:
    heads = config.setting("num_attention_heads")
    size = config.setting("hidden_size") // heads
    theta = rotary(config, size, defaults=(160e3, 160e3))
    attention = Attention((f"{layer}.attention.qkv_proj",), f"{layer}.attention.o_proj", heads, size, heads, rope=theta)
    mlp = Mlp((f"{layer}.mlp.up_gate_proj",), f"{layer}.mlp.down_proj", config.setting("hidden_act"), "second half")
    return [Residual(attention, after=f"{layer}.attn_ln"), Residual(mlp, after=f"{layer}.mlp_ln")]
