"""DistilBERT (Sanh et al. 2019): a BERT of half as many layers, without segments."""

from __future__ import annotations

from deployments.architectures.checkpoint import Config
from deployments.architectures.transformer import (
    Attention,
    Embedding,
    MaskedHead,
    Mlp,
    Norm,
    Residual,
    ScoreHead,
    Transformer,
)

_EPSILON = 1e-12


def read(config: Config) -> Transformer:
    """A DistilBERT."""
    activation = config.setting("activation", default="gelu")
    return Transformer(
        hidden=config.setting("dim"),
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(
            words="embeddings.word_embeddings",
            positions="embeddings.position_embeddings",
            norm="embeddings.LayerNorm",
        ),
        residuals=[
            part
            for number in range(config.setting("n_layers"))
            for part in _layer(config, f"transformer.layer.{number}", activation)
        ],
        norm=Norm("layer", _EPSILON),
        head=MaskedHead(
            dense="vocab_transform",
            norm="vocab_layer_norm",
            activation=activation,
            bias="vocab_projector.bias",
            decoder="vocab_projector",
        ),
        scores=ScoreHead("pre_classifier", "relu", "classifier"),
        unused=("embeddings.*_ids",),
    )


def _layer(config: Config, layer: str, activation: str) -> list[Residual]:
    heads, hidden = config.setting("n_heads"), config.setting("dim")
    names = tuple(f"{layer}.attention.{part}_lin" for part in "qkv")
    attention = Attention(names, f"{layer}.attention.out_lin", heads, hidden // heads, heads)
    mlp = Mlp((f"{layer}.ffn.lin1",), f"{layer}.ffn.lin2", activation)
    return [
        Residual(attention, after=f"{layer}.sa_layer_norm"),
        Residual(mlp, after=f"{layer}.output_layer_norm"),
    ]
