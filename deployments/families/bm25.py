"""BM25 by Qdrant's own code: no weights, no tokenizer files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge

from deployments.catalogue.bm25_options import Bm25Options, NoStemmer, Snowball, Stopwords
from deployments.catalogue.card import ModelCard
from deployments.contract import Batch, Explanation, Running, SparseVector, SparseVectors
from deployments.errors import BadOption
from deployments.families.chunks import pack
from deployments.families.protocol import Positions, Prepared
from deployments.families.unicode import well_formed
from deployments.networks.settings import SessionSettings

_WORD = re.compile(r"[^\W_]+")
_COUNTING = {"k": 1e9, "b": 0.0}


def load(_card: ModelCard, _folder: Path | None, _settings: SessionSettings) -> Bm25Model:
    """BM25 needs no files and has no settings."""
    return Bm25Model()


class Bm25Model:
    """Sparse vectors: term weights for documents, a one for each term of a query."""

    running = Running(None, None)

    def samples(self) -> Sequence[Batch]:
        """Nothing: there is nothing to warm up."""
        return ()

    def prepare(self, batch: Batch) -> Prepared:
        """Count the tokens that are left after stop words and the limits on length, each as often as it occurs.

        The library does not say how many there are. But a term's weight is f (k + 1) / (f + k (1 - b + b length)),
        which for b = 0 and a huge k is f, how often the term occurs.
        """
        counter = _model({**batch.options, **_COUNTING})
        texts = [well_formed(str(text)) for text in batch.inputs]
        counts = [round(sum(counter.embed_document(text).values)) for text in texts]
        return Prepared(batch, texts, np.array(counts, np.int64))

    def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """The words of each text that have a term, and which of them these indices stand for."""
        model = _model(batch.options)
        return [
            _explanation(model, well_formed(str(text)), set(row))
            for text, row in zip(batch.inputs, indices, strict=True)
        ]

    def run(self, prepared: Prepared, positions: Positions) -> SparseVectors:
        """The vectors of some of the texts."""
        model = _model(prepared.batch.options)
        embed = model.embed_document if prepared.batch.direction == "update" else model.embed_query
        return pack([_sorted(embed(prepared.items[position])) for position in positions])


def _explanation(model: qdrant_edge.Bm25, text: str, indices: set[int]) -> Explanation:
    """The library hashes stems and shows neither; but a word alone has the same hashes as in its text."""
    tokens, spans, words = [], [], dict[int, str]()
    for word in _WORD.finditer(text):
        terms = indices.intersection(model.embed_query(word.group()).indices)
        if terms:
            tokens.append(word.group())
            spans.append(word.span())
        for term in terms:
            words.setdefault(term, word.group())
    return Explanation(tokens, spans, words=words)


def _sorted(vector: qdrant_edge.SparseVector) -> SparseVector:
    indices = np.array(vector.indices, np.uint32)
    order = np.argsort(indices)
    return SparseVector(indices[order], np.array(vector.values, np.float32)[order])


def _model(options: Mapping[str, Any]) -> qdrant_edge.Bm25:
    return _cached_model(json.dumps(options, sort_keys=True))


@lru_cache(maxsize=64)
def _cached_model(options: str) -> qdrant_edge.Bm25:
    try:
        return qdrant_edge.Bm25(_config(Bm25Options.model_validate_json(options)))
    except ValueError as error:
        raise BadOption(f"options: {error}") from error


def _config(options: Bm25Options) -> qdrant_edge.Bm25Config:
    plain = options.model_dump(exclude={"tokenizer", "stopwords", "stemmer"})
    return qdrant_edge.Bm25Config(
        **plain,
        tokenizer=_member(qdrant_edge.TokenizerType, options.tokenizer),
        stopwords=_stopwords(options.stopwords),
        stemmer=_stemmer(options.stemmer),
    )


def _member(enum: Any, name: str | None) -> Any:
    """The library's enum members have the API's names with a capital."""
    return None if name is None else getattr(enum, name.capitalize())


def _stopwords(stopwords: Stopwords | None) -> Any:
    if stopwords is None:
        return None
    languages = {_member(qdrant_edge.Language, name) for name in stopwords.languages or ()}
    return qdrant_edge.StopwordsSet(languages=languages, custom=set(stopwords.custom or ()))


def _stemmer(stemmer: Snowball | NoStemmer | None) -> Any:
    if stemmer is None:
        return None
    if isinstance(stemmer, NoStemmer):
        return qdrant_edge.DisabledStemmer()
    return qdrant_edge.SnowballParams(_member(qdrant_edge.SnowballLanguage, stemmer.language))
