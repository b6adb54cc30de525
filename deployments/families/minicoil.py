"""miniCOIL: a word of the model's vocabulary has a few entries, which tell its meaning; others have one, as in BM25.

As in fastembed. The hidden states of a word's tokens, wherever it stands in a text, have a mean, of which the word's
own matrix and tanh make a vector, which is normalized. In documents it is multiplied by what the word counts by BM25's
formula; queries have the vectors themselves, and 1 for other words.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from typing_extensions import override

from deployments.catalogue.card import ModelCard
from deployments.catalogue.word_files import TABLE, VOCABULARY
from deployments.contract import Direction, Floats, MultiVectors, SparseVector, SparseVectors
from deployments.errors import ModelFilesError
from deployments.families.chunks import pack
from deployments.families.protocol import Positions, Prepared
from deployments.families.words import WordModel, number, stem, vector, words
from deployments.graphs import heads, ragged
from deployments.networks.base import Network, offsets
from deployments.networks.opening import Graphs, RaggedGraph, open_network
from deployments.networks.session import Outputs
from deployments.networks.settings import SessionSettings

_DEFAULTS = {"k": 1.2, "b": 0.75, "avg_len": 150.0}
"""fastembed's."""

_GAP = 32_000
"""Entries of other words begin at a multiple of it, at least one behind those of the vocabulary."""

_LAST = 2**31 - 1
_LONGEST = 40
"""Characters of a stem that is not in the vocabulary; longer ones have no entry."""

_SMALLEST = 1e-8
"""The length from which on a vector is normalized."""

_ALONE = np.ones(1, np.float32)
_SPECIAL = frozenset({"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"})
_NO_WORD = re.compile(r"[^\w\s]")


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> MiniCoilModel:
    """Load a miniCOIL model."""
    graph = RaggedGraph(ragged.hidden_states, (), _hidden_states, "token")
    network = open_network(card, folder, settings, Graphs(heads.positions, heads.encoder, graph, heads.float16))
    return MiniCoilModel(card, folder, network)


@dataclass(frozen=True)
class _Terms:
    """What is counted in a text: words of the vocabulary, and stems of others. `places` are the tokens of the first."""

    counts: Mapping[str, int]
    places: Mapping[str, Sequence[int]]


class MiniCoilModel(WordModel):
    """Entries are numbers of a word's vector, or stems."""

    def __init__(self, card: ModelCard, folder: Path, network: Network) -> None:
        super().__init__(card, folder, network)
        self._words, self._of_stems = _vocabulary(folder / VOCABULARY)
        self._table = _table(folder / TABLE, 1 + len(self._words))
        self._size: int = self._table.shape[2]
        self._others = (len(self._table) * self._size // _GAP + 2) * _GAP

    @override
    def meanings(self, ids: Sequence[int]) -> Mapping[int, str]:
        terms = self._terms(ids)
        return {
            index: f"{term} {part}/{self._size}" if term in terms.places else term
            for term in terms.counts
            for part, index in enumerate(self._entries(term, terms), 1)
        }

    @override
    def run(self, prepared: Prepared, positions: Positions) -> SparseVectors:
        rows = self.rows(prepared, positions)
        weigh = partial(_weights, {**_DEFAULTS, **prepared.batch.options}, prepared.batch.direction)
        texts = [self._terms(prepared.items[position]) for position in positions]
        return pack([self._vector(terms, rows[text], weigh(terms.counts)) for text, terms in enumerate(texts)])

    def _vector(self, terms: _Terms, rows: Floats, weights: Mapping[str, float]) -> SparseVector:
        vectors = dict.fromkeys(terms.counts, _ALONE) | self._meant(terms.places, rows)
        return vector(
            {
                index: float(value) * weights[term]
                for term, values in vectors.items()
                for index, value in zip(self._entries(term, terms), values, strict=True)
            }
        )

    def _meant(self, places: Mapping[str, Sequence[int]], rows: Floats) -> dict[str, Floats]:
        """The vectors of words of the vocabulary, float32 `[entries]` each; `rows` are the hidden states of a text."""
        if not places:
            return {}
        means = np.stack([rows[tokens].mean(axis=0) for tokens in places.values()])
        vectors = np.tanh(np.einsum("wh,whe->we", means, self._table[[self._words[term] for term in places]]))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return dict(zip(places, vectors / np.where(lengths < _SMALLEST, 1, lengths), strict=True))

    def _entries(self, term: str, terms: _Terms) -> Sequence[int]:
        """The indices of a term's entries."""
        if term in terms.places:
            first = self._words[term] * self._size
            return range(first, first + self._size)
        return [self._others + number(term) % (_LAST - self._others)]

    def _terms(self, ids: Sequence[int]) -> _Terms:
        counts, places, others = Counter[str](), defaultdict[str, list[int]](list), Counter[str]()
        for word in words(enumerate(self.tokenizer.tokens(ids))):
            term = self._word(word.text)
            if term is None:
                others[word.text] += 1
            else:
                counts[term] += 1
                places[term] += word.places
        for term in places.keys() & others.keys():  # a stop word for which another word stands: both are left out
            del counts[term], places[term]
        for other, count in others.items():
            for term in self._stems(other):
                counts[term] += count
        return _Terms(counts, places)

    def _word(self, word: str) -> str | None:
        """The word of the vocabulary that a word of a text stands for."""
        if word in self.stopwords:
            return None
        return word if word in self._words else self._of_stems.get(word, self._of_stems.get(stem(word)))

    def _stems(self, word: str) -> Iterator[str]:
        """The stems of the parts of a word that is not in the vocabulary."""
        parts = [] if self._is_skipped(word) else _NO_WORD.sub(" ", word).split()
        return (each for each in map(stem, parts) if len(each) <= _LONGEST and not self._is_skipped(each))

    def _is_skipped(self, word: str) -> bool:
        is_sign = len(word) == 1 and unicodedata.category(word).startswith("P")
        return is_sign or word in _SPECIAL or word in self.stopwords


def _weights(options: Mapping[str, float], direction: Direction, counts: Mapping[str, int]) -> Mapping[str, float]:
    """What each term counts: f (k + 1) / (f + k (1 - b + b length / avg_len)) in a document, 1 in a query."""
    if direction == "search":
        return dict.fromkeys(counts, 1.0)
    k, b = options["k"], options["b"]
    long = k * (1 - b + b * sum(counts.values()) / options["avg_len"])
    return {term: count * (k + 1) / (count + long) for term, count in counts.items()}


def _vocabulary(path: Path) -> tuple[Mapping[str, int], Mapping[str, str]]:
    """The number of each word, from 1 on, and the word for which a stem stands."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        numbers = {str(word): place for place, word in enumerate(content["vocab"], 1)}
        of_stems = {str(each): str(word) for each, word in content["stem_mapping"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFilesError(f"{path}: {error}") from error
    if unknown := set(of_stems.values()) - numbers.keys():
        raise ModelFilesError(f"{path}: 'stem_mapping' names '{min(unknown)}', which is not in 'vocab'")
    return numbers, of_stems


def _table(path: Path, rows: int) -> Floats:
    """The matrices, read as they are needed: those of all words are a hundred megabytes and more."""
    try:
        table: Floats = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"{path}: {error}") from error
    if table.ndim != 3 or len(table) != rows:  # noqa: PLR2004  its axes
        raise ModelFilesError(f"{path}: expected {rows} matrices, one for each word of the vocabulary and one more")
    return table


def _hidden_states(outputs: Outputs, tokens: Sequence[int]) -> MultiVectors:
    return MultiVectors(outputs[0], offsets(tokens))
