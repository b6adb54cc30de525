"""Models whose entries stand for words: BM42 and miniCOIL.

Words are made of word pieces, stemmed and numbered as in fastembed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import mmh3
import numpy as np
from py_rust_stemmers import SnowballStemmer  # type: ignore[import-untyped]
from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.catalogue.word_files import STOPWORDS
from deployments.contract import Batch, Explanation, MultiVectors, SparseVector
from deployments.errors import ModelError, ModelFilesError
from deployments.families.protocol import Positions, Prepared
from deployments.families.text import TextModel
from deployments.networks.base import Network, Output

_CONTINUES = "##"
"""How a piece begins that goes on with the word before it."""

_english = SnowballStemmer("english")


class Word(NamedTuple):
    """A word of a text, and where its pieces stand among the text's tokens."""

    text: str
    places: list[int]


class WordModel(TextModel):
    """A tokenizer, stop words, and a network that gives a row a token."""

    def __init__(self, card: ModelCard, folder: Path, network: Network) -> None:
        super().__init__(card, folder, network, _rows)
        self.stopwords = _stopwords(folder / STOPWORDS)
        if self.tokenizer.continues != _CONTINUES:
            raise ModelError(
                f"{folder}: words are made of word pieces ('{_CONTINUES}'), and this tokenizer makes others"
            )

    @abstractmethod
    def meanings(self, ids: Sequence[int]) -> Mapping[int, str]:
        """What the entries of a text stand for, by their indices."""

    @override
    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """The tokens of each text, and which words these indices stand for."""
        texts = [str(text) for text in batch.inputs]
        explained = super().explain(batch, [()] * len(texts))
        meanings = map(self.meanings, self.tokenizer.encode(texts)[0])
        return [
            replace(one, words={index: meant[index] for index in row if index in meant})
            for one, row, meant in zip(explained, indices, meanings, strict=True)
        ]

    def rows(self, prepared: Prepared, positions: Positions) -> MultiVectors:
        """What the network gives for the tokens of some of the texts."""
        return cast("MultiVectors", super().run(prepared, positions))


def words(pieces: Iterable[tuple[int, str]]) -> list[Word]:
    """The words that word pieces make, each piece given with its place."""
    found: list[Word] = []
    for place, piece in pieces:
        before = found.pop() if found and piece.startswith(_CONTINUES) else Word("", [])
        found.append(Word(before.text + piece.removeprefix(_CONTINUES), [*before.places, place]))
    return found


def stem(word: str) -> str:
    """The stem of an English word in lower case."""
    found: str = _english.stem_word(word)
    return found


def number(word: str) -> int:
    """The number of a word, from 0 to 2^31: the absolute value of its MurmurHash3, as in Qdrant's BM25."""
    return abs(mmh3.hash(word))


def vector(entries: Mapping[int, float]) -> SparseVector:
    """A sparse vector of its entries."""
    indices = sorted(entries)
    return SparseVector(np.array(indices, np.uint32), np.array([entries[index] for index in indices], np.float32))


def _rows(output: Output) -> MultiVectors:
    if not isinstance(output, MultiVectors):
        raise ModelError("the ONNX file gives no row a token; 'output' in the catalogue names the output that counts")
    return output


def _stopwords(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"{path}: {error}") from error
