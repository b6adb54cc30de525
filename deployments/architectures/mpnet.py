"""MPNet (Song et al. 2020): a RoBERTa whose layers share a bias that is learnt for each distance."""

from __future__ import annotations

from deployments.architectures.bert import ROBERTA_SCORES
from deployments.architectures.checkpoint import Config
from deployments.architectures.transformer import (
    Attention,
    Buckets,
    Embedding,
    Mlp,
    Norm,
    Residual,
    Sight,
    Transformer,
)

_FIRST = 2
"""The first position: those before it belong to padding, whose id is always 1."""


def read(config: Config) -> Transformer:
    """An MPNet."""
    positions = config.setting("max_position_embeddings") - _FIRST
    sight = Sight(bias=Buckets("encoder.relative_attention_bias", positions))
    return Transformer(
        hidden=config.setting("hidden_size"),
        positions=positions,
        embedding=Embedding(
            words="embeddings.word_embeddings",
            positions="embeddings.position_embeddings",
            norm="embeddings.LayerNorm",
            first_position=_FIRST,
        ),
        residuals=[
            part
            for number in range(config.setting("num_hidden_layers"))
            for part in _layer(config, f"encoder.layer.{number}", sight)
        ],
        norm=Norm("layer", config.setting("layer_norm_eps")),
        scores=ROBERTA_SCORES,
        unused=("pooler.*", "lm_head.*", "embeddings.*_ids"),
    )


def _layer(config: Config, layer: str, sight: Sight) -> list[Residual]:
    heads, hidden = config.setting("num_attention_heads"), config.setting("hidden_size")
    names = tuple(f"{layer}.attention.attn.{part}" for part in "qkv")
    attention = Attention(names, f"{layer}.attention.attn.o", heads, hidden // heads, heads, sight)
    mlp = Mlp((f"{layer}.intermediate.dense",), f"{layer}.output.dense", config.setting("hidden_act"))
    return [
        Residual(attention, after=f"{layer}.attention.LayerNorm"),
        Residual(mlp, after=f"{layer}.output.LayerNorm"),
    ]
