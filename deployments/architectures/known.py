"""The architectures of text models: one file each, with a function from a model's `config.json` to a `Transformer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployments.architectures import (
    bert,
    distilbert,
    gemma,
    gte,
    jina,
    modernbert,
    mpnet,
    nomic,
    qwen,
)
from deployments.architectures.checkpoint import Config
from deployments.architectures.transformer import Transformer
from deployments.errors import ModelError

ARCHITECTURES: Mapping[str, Callable[[Config], Transformer]] = {
    "bert": bert.read,
    "roberta": bert.read_roberta,
    "xlm-roberta": bert.read_roberta,
    "camembert": bert.read_roberta,
    "distilbert": distilbert.read,
    "mpnet": mpnet.read,
    "modernbert": modernbert.read,
    "nomic_bert": nomic.read,
    "qwen3": qwen.read,
    "gemma3_text": gemma.read,
    "new": gte.read,
    "gte": gte.read,
}
"""By the model type that `config.json` names."""


def transformer(config: Config) -> Transformer:
    """What a checkpoint's model is made of.

    Raises:
        ModelError: it is of an architecture, or of a kind of one, that is not known here.
    """
    config.expect_architecture(*ARCHITECTURES)
    model_type = config.setting("model_type")
    if model_type == "bert" and config.setting("position_embedding_type", default="") == "alibi":
        return jina.read(config)
    return ARCHITECTURES[model_type](config)


def missing(config: Config) -> str | None:
    """Why a model's graph cannot be built here; None if it can, by what its `config.json` says."""
    try:
        transformer(config)
    except ModelError as error:
        return str(error).removeprefix(f"{config.folder}: ")
    return None
