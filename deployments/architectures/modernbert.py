"""ModernBERT (Warner et al. 2024): rotary positions, layers that see all and layers that see near, gates, no biases."""

from __future__ import annotations

from deployments.architectures.checkpoint import Config
from deployments.architectures.rotary import is_local, rotary
from deployments.architectures.transformer import (
    Attention,
    Embedding,
    MaskedHead,
    Mlp,
    Norm,
    Residual,
    ScoreHead,
    Sight,
    Transformer,
)


def read(config: Config) -> Transformer:
    """A ModernBERT."""
    activation = config.setting("classifier_activation", default="gelu")
    return Transformer(
        hidden=config.setting("hidden_size"),
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(words="embeddings.tok_embeddings", norm="embeddings.norm"),
        residuals=[part for number in range(config.setting("num_hidden_layers")) for part in _layer(config, number)],
        norm=Norm("layer", config.setting("norm_eps", default=1e-5)),
        final_norm="final_norm",
        head=MaskedHead(
            dense="head.dense",
            norm="head.norm",
            activation=activation,
            bias="decoder.bias",
            decoder="decoder",
        ),
        scores=ScoreHead(
            dense="head.dense",
            activation=activation,
            labels="classifier",
            norm="head.norm",
            pooling=config.setting("classifier_pooling", default="cls"),
        ),
    )


def _layer(config: Config, number: int) -> list[Residual]:
    layer, heads = f"layers.{number}", config.setting("num_attention_heads")
    size = config.setting("hidden_size") // heads
    every = config.setting("global_attn_every_n_layers", default=3)
    local = is_local(config, number, default=number % every != 0)
    theta = rotary(config, size, local=local, names=("global_rope_theta", "local_rope_theta"), defaults=(160e3, 10e3))
    window = config.setting("local_attention", default=128) // 2 if local else None
    attention = Attention((f"{layer}.attn.Wqkv",), f"{layer}.attn.Wo", heads, size, heads, Sight(window=window), theta)
    activation = config.setting("hidden_activation", default="gelu")
    mlp = Mlp((f"{layer}.mlp.Wi",), f"{layer}.mlp.Wo", activation, "first half")
    before = f"{layer}.attn_norm" if number else ""  # the embeddings are normalized already
    return [Residual(attention, before=before), Residual(mlp, before=f"{layer}.mlp_norm")]
