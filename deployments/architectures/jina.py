"""Jina BERT (Günther et al. 2023), of jina-embeddings-v2: a BERT with ALiBi in place of positions, and gates."""

from __future__ import annotations

from deployments.architectures import bert
from deployments.architectures.checkpoint import Config
from deployments.architectures.transformer import Alibi, Attention, Embedding, Mlp, Norm, Residual, Sight, Transformer
from deployments.errors import ModelError

_ACTIVATIONS = {"geglu": "gelu", "reglu": "relu"}


def read(config: Config) -> Transformer:
    """A Jina BERT."""
    kind = config.setting("feed_forward_type", default="original")
    if kind not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise ModelError(f"{config.folder}: feed_forward_type '{kind}' cannot be run here, only {known}")
    heads, hidden = config.setting("num_attention_heads"), config.setting("hidden_size")
    return Transformer(
        hidden=hidden,
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(
            words="embeddings.word_embeddings",
            segments="embeddings.token_type_embeddings",
            norm="embeddings.LayerNorm",
        ),
        residuals=[
            part
            for number in range(config.setting("num_hidden_layers"))
            for part in _layer(f"encoder.layer.{number}", heads, hidden, _ACTIVATIONS[kind])
        ],
        norm=Norm("layer", config.setting("layer_norm_eps")),
        unused=bert.UNUSED,
    )


def _layer(layer: str, heads: int, hidden: int, activation: str) -> list[Residual]:
    names = tuple(f"{layer}.attention.self.{part}" for part in ("query", "key", "value"))
    attention = Attention(
        names, f"{layer}.attention.output.dense", heads, hidden // heads, heads, Sight(bias=Alibi(heads))
    )
    mlp = Mlp((f"{layer}.mlp.gated_layers",), f"{layer}.mlp.wo", activation, "first half")
    return [
        Residual(attention, after=f"{layer}.attention.output.LayerNorm"),
        Residual(mlp, after=f"{layer}.mlp.layernorm"),
    ]
