"""Tiny random cross-encoders, with the names and settings of the hub's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from deployments.catalogue.card import ModelCard
from tests.support import architectures, tiny
from tests.support.architectures import Made
from tests.support.tiny import HIDDEN, POSITIONS, Weights

ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
"""As the rerankers of the hub have it; without it, transformers takes two for granted."""


def bert(words: int) -> Made:
    random = Weights()
    tensors = {f"bert.{name}": tensor for name, tensor in tiny.bert_tensors(words).items()}
    tensors |= random.linear("bert.pooler.dense", HIDDEN, HIDDEN) | random.linear("classifier", 1, HIDDEN)
    config = tiny.bert_config(vocab_size=words, pad_token_id=0)
    return tensors, {**config, "architectures": ["BertForSequenceClassification"], **ONE_LABEL}


def xlm_roberta(words: int) -> Made:
    random = Weights()
    tensors = {f"roberta.{name}": tensor for name, tensor in tiny.bert_tensors(words, segments=1).items()}
    tensors |= random.linear("classifier.dense", HIDDEN, HIDDEN) | random.linear("classifier.out_proj", 1, HIDDEN)
    config = tiny.bert_config(model_type="xlm-roberta", vocab_size=words, type_vocab_size=1, pad_token_id=1)
    return tensors, {**config, "architectures": ["XLMRobertaForSequenceClassification"], **ONE_LABEL}


def modernbert(words: int, pooling: str = "cls") -> Made:
    tensors, config = architectures.modernbert(words)
    del tensors["decoder.bias"]
    tensors |= Weights().linear("classifier", 1, HIDDEN)
    own = {"architectures": ["ModernBertForSequenceClassification"], "classifier_pooling": pooling}
    return tensors, {**config, **own, **ONE_LABEL}


def distilbert(words: int) -> Made:
    tensors, config = architectures.distilbert(words)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("vocab_")}
    tensors |= Weights().linear("pre_classifier", HIDDEN, HIDDEN) | Weights().linear("classifier", 1, HIDDEN)
    return tensors, {**config, "architectures": ["DistilBertForSequenceClassification"], **ONE_LABEL}


def mpnet(words: int) -> Made:
    tensors, config = architectures.mpnet(words)
    tensors = {f"mpnet.{name}": tensor for name, tensor in tensors.items() if not name.startswith("pooler.")}
    tensors |= Weights().linear("classifier.dense", HIDDEN, HIDDEN) | Weights().linear("classifier.out_proj", 1, HIDDEN)
    return tensors, {**config, "architectures": ["MPNetForSequenceClassification"], **ONE_LABEL}


RERANKERS: Mapping[str, Callable[[int], Made]] = {
    "bert": bert,
    "xlm-roberta": xlm_roberta,
    "modernbert": modernbert,
    "modernbert-mean": partial(modernbert, pooling="mean"),
    "distilbert": distilbert,
    "mpnet": mpnet,
}
"""By name: from the number of words of a vocabulary to a checkpoint."""


def tokenizer_of(name: str) -> Tokenizer:
    """The kind of tokenizer that goes with an architecture."""
    return tiny.unigrams() if name == "xlm-roberta" else tiny.word_pieces()


def write(folder: Path, name: str = "bert", **config: Any) -> Path:
    """Write a cross-encoder with its tokenizer."""
    tokenizer = tokenizer_of(name)
    tokenizer.save(str(folder / "tokenizer.json"))
    tensors, said = RERANKERS[name](tokenizer.get_vocab_size())
    return tiny.write_as(folder, tensors, {**said, **config})


def window(name: str) -> int:
    """How many tokens it reads."""
    return POSITIONS - 2 if name == "xlm-roberta" else POSITIONS


def card(name: str = "bert", **changes: Any) -> ModelCard:
    fields = {"name": f"tiny/{name}-reranker", "family": "cross-encoder", "context_window": window(name)}
    return tiny.card(dimensions=None, pooling=None, **{**fields, **changes})
