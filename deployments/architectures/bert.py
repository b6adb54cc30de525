"""BERT (Devlin et al. 2018), RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020)."""

from __future__ import annotations

from dataclasses import replace

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

UNUSED = ("pooler.*", "embeddings.*_ids")

_HEAD = MaskedHead(
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    activation="",
    bias="cls.predictions.bias",
    decoder="cls.predictions.decoder",
    unused=("cls.seq_relationship.*", "cls.predictions.decoder.bias"),
)
_ROBERTA_HEAD = MaskedHead(
    dense="lm_head.dense",
    norm="lm_head.layer_norm",
    activation="gelu",
    bias="lm_head.bias",
    decoder="lm_head.decoder",
    unused=("lm_head.decoder.bias",),
)
_SCORES = ScoreHead("pooler.dense", "tanh", "classifier")
ROBERTA_SCORES = ScoreHead("classifier.dense", "tanh", "classifier.out_proj")


def read(config: Config) -> Transformer:
    """A BERT."""
    config.expect("position_embedding_type", known="absolute")
    config.expect("is_decoder", known=False)
    activation = config.setting("hidden_act")
    return Transformer(
        hidden=config.setting("hidden_size"),
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(
            words="embeddings.word_embeddings",
            positions="embeddings.position_embeddings",
            segments="embeddings.token_type_embeddings",
            norm="embeddings.LayerNorm",
        ),
        residuals=[
            part
            for number in range(config.setting("num_hidden_layers"))
            for part in _layer(config, f"encoder.layer.{number}", activation)
        ],
        norm=Norm("layer", config.setting("layer_norm_eps")),
        head=replace(_HEAD, activation=activation),
        scores=_SCORES,
        unused=UNUSED,
    )


def read_roberta(config: Config) -> Transformer:
    """A RoBERTa, whose table of positions begins with rows for padding, up to and with that of the padding's id."""
    model, first = read(config), int(config.setting("pad_token_id", default=1)) + 1
    embedding = replace(model.embedding, first_position=first)
    positions = model.positions - first
    return replace(model, embedding=embedding, positions=positions, head=_ROBERTA_HEAD, scores=ROBERTA_SCORES)


def _layer(config: Config, layer: str, activation: str) -> list[Residual]:
    heads, hidden = config.setting("num_attention_heads"), config.setting("hidden_size")
    names = tuple(f"{layer}.attention.self.{part}" for part in ("query", "key", "value"))
    attention = Attention(names, f"{layer}.attention.output.dense", heads, hidden // heads, heads)
    mlp = Mlp((f"{layer}.intermediate.dense",), f"{layer}.output.dense", activation)
    return [
        Residual(attention, after=f"{layer}.attention.output.LayerNorm"),
        Residual(mlp, after=f"{layer}.output.LayerNorm"),
    ]
