"""Tiny random models whose entries stand for words, with the files of BM42 and miniCOIL."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from deployments.catalogue.word_files import STOPWORDS, TABLE, VOCABULARY
from deployments.families.words import stem
from tests.support import tiny
from tests.support.architectures import jina

STOPPED = ("the", "of", "is", "a", "in", "them", "store")
KNOWN = ("bat", "capital", "chocolate", "cookie", "dog", "fox", "jump", "paris", "point", "store", "vector", "quick")
STANDS_FOR = {**{stem(word): word for word in KNOWN}, "brown": "fox", "lazi": "quick"}
"""Words by their stems: one that is no stem stands there too, and one for another word."""

ENTRIES = 4
_SIGNS = "°€"
"""They are no punctuation to a tokenizer, and stay in words."""


def bm42(folder: Path) -> Path:
    """A BERT, and stop words."""
    words = _begin(folder)
    return tiny.write_as(folder, tiny.bert_tensors(words), tiny.bert_config(vocab_size=words, pad_token_id=0))


def minicoil(folder: Path) -> Path:
    """A Jina BERT, stop words, a vocabulary, and a matrix for each of its words."""
    tensors, config = jina(_begin(folder))
    add_meanings(folder, config["hidden_size"])
    return tiny.write_as(folder, tensors, config)


def add_meanings(folder: Path, hidden: int) -> None:
    """The files of miniCOIL, for hidden states of a size."""
    _add_stop_words(folder)
    (folder / VOCABULARY).write_text(json.dumps({"vocab": KNOWN, "stem_mapping": STANDS_FOR}))
    np.save(folder / TABLE, tiny.Weights().weight(1 + len(KNOWN), hidden, ENTRIES))


def _begin(folder: Path) -> int:
    _add_stop_words(folder)
    tokenizer = tiny.word_pieces(_SIGNS)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


def _add_stop_words(folder: Path) -> None:
    (folder / STOPWORDS).write_text("\n".join(STOPPED) + "\n")
