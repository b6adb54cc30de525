"""Texts of random words, and a tokenizer like BERT's whose words they are."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

VOCABULARY = 30_522  # BERT's
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ENDS = 4000
"""Of the vocabulary, pieces that end a word; the others are words."""

_CUT = 0.2
"""The share of words that are made of two pieces."""

MARKERS = {"query": _SPECIAL.index("[unused0]"), "document": _SPECIAL.index("[unused1]"), "query_length": 32}
"""Of a ColBERT."""


@cache
def _vocabulary() -> list[str]:
    rng = random.Random(0)
    words: dict[str, None] = dict.fromkeys((*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS)))
    while len(words) < VOCABULARY:
        word = "".join(rng.choices(_LETTERS, k=rng.randint(3, 8)))
        words.setdefault(f"##{word[:3]}" if VOCABULARY - len(words) <= _ENDS else word)
    return list(words)


def write_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json`, and what transformers asks for beside it."""
    vocabulary = {word: number for number, word in enumerate(_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # type: ignore[call-arg]
    tokenizer.normalizer = normalizers.BertNormalizer()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    tokenizer.add_special_tokens(list(_SPECIAL))
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "unk_token": "[UNK]", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


class Texts:
    """Makes texts; no two are the same."""

    def __init__(self, seed: int = 0) -> None:
        words = _vocabulary()[len(_SPECIAL) + 2 * len(_LETTERS) :]
        self._words = np.array([word for word in words if not word.startswith("##")])
        self._ends = np.array([word[2:] for word in words if word.startswith("##")])
        self._random = np.random.default_rng(seed)
        shares = 1 / np.arange(10, 10 + len(self._words))  # as often as words of a language, by their ranks
        self._cumulated = np.cumsum(shares / shares.sum())

    def of(self, tokens: int, count: int) -> list[str]:
        """So many texts of so many tokens each, special ones included."""
        return [self._text(tokens - 2) for _ in range(count)]

    def mixed(self, count: int, longest: int = 512) -> list[str]:
        """Texts of lengths as passages have them: half are shorter than 80 tokens, few are as long as can be."""
        lengths = np.clip(self._random.lognormal(np.log(80), 0.8, count), 4, longest).astype(int)
        return [self._text(int(length) - 2) for length in lengths]

    def _text(self, tokens: int) -> str:
        cut = int(self._random.binomial(tokens // 2, _CUT))
        ranks = np.searchsorted(self._cumulated, self._random.random(tokens - cut))
        words = self._words[np.minimum(ranks, len(self._words) - 1)].tolist()
        for place, end in zip(range(cut), self._random.choice(self._ends, cut), strict=True):
            words[place] = f"{words[place]}{end}"
        self._random.shuffle(words)
        return " ".join(words)
