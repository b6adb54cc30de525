"""BM25 by Qdrant's own code: no weights, no tokenizer files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import qdrant_edge

from deployments.catalogue.bm25_options import PREFIX_TOKEN_LEN, Bm25Options, NoStemmer, Snowball, Stopwords
from deployments.catalogue.card import ModelCard
from deployments.catalogue.languages import STEMMER_CODES, STOPWORD_CODES, Language, SnowballLanguage
from deployments.contract import Batch, Explanation, Running, SparseVector, SparseVectors
from deployments.errors import BadOption
from deployments.families.chunks import pack
from deployments.families.protocol import Positions, Prepared
from deployments.families.unicode import well_formed
from deployments.networks.settings import SessionSettings
from deployments.weighed_cache import WeighedCache

_WORD = re.compile(r"[^\W_]+")
_COUNTING = {"k": 1e9, "b": 0.0}
_DEFAULTS = {"k": 1.2, "b": 0.75, "avg_len": 256.0}
"""Qdrant's."""

_PIECE = 32_768
"""Characters that the library reads at once, in a tenth of a second."""

_WEIGHT = 16 * 1024
_models: WeighedCache[bytes, qdrant_edge.Bm25] = WeighedCache(2 * 1024 * 1024)
"""By the digest of their options, which callers choose. With a language's stop words each has some 10 KB."""


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
        """Count the tokens that are left after stop words and the limits on length, each as often as it occurs."""
        texts = [well_formed(str(text)) for text in batch.inputs]
        counter = _counter(batch.options)
        counts = [sum(int(times.sum()) for _, times in _counted(counter, text)) for text in texts]
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
        batch = prepared.batch
        model = _model(batch.options)
        return pack([_vector(model, batch, prepared.items[p], int(prepared.tokens[p])) for p in positions])


def _vector(model: qdrant_edge.Bm25, batch: Batch, text: str, tokens: int) -> SparseVector:
    """The vector of a text; `tokens` is how many it has.

    The library holds Python's lock while it works. A long text is taken in pieces, so that others run in between, and
    their terms are put together by the library's own formula: f (k + 1) / (f + k (1 - b + b tokens / avg_len)) for a
    term that occurs f times in a document, and 1 in a query.
    """
    if len(text) <= _PIECE:
        return _sorted((model.embed_document if batch.direction == "update" else model.embed_query)(text))
    if batch.direction == "search":
        terms = [np.array(model.embed_query(piece).indices, np.uint32) for piece in _pieces(text)]
        indices = np.unique(np.concatenate(terms))
        return SparseVector(indices, np.ones(len(indices), np.float32))
    found = _frequencies(_counter(batch.options), text)
    k, b, avg_len = (batch.options.get(name, default) for name, default in _DEFAULTS.items())
    times = found.values.astype(np.float64)
    weights = times * (k + 1) / (times + k * (1 - b + b * tokens / avg_len))
    return SparseVector(found.indices, weights.astype(np.float32))


def _counter(options: Mapping[str, Any]) -> qdrant_edge.Bm25:
    """Counts terms. The library does not say how often one occurs, but its weight for b = 0 and a huge k is that."""
    return _model({**options, **_COUNTING})


def _counted(counter: qdrant_edge.Bm25, text: str) -> Iterator[tuple[list[int], npt.NDArray[np.float64]]]:
    """Of each piece of a text, its terms, and how often each occurs."""
    for piece in _pieces(text):
        vector = counter.embed_document(piece)
        yield vector.indices, np.array(vector.values, np.float64).round()


def _frequencies(counter: qdrant_edge.Bm25, text: str) -> SparseVector:
    """How often each term occurs in a text."""
    counted = list(_counted(counter, text))
    terms, places = np.unique(np.concatenate([np.array(terms, np.uint32) for terms, _ in counted]), return_inverse=True)
    times = np.bincount(places, np.concatenate([times for _, times in counted]), len(terms))
    return SparseVector(terms, times.astype(np.float32))


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces that end between words, if there are any."""
    start = 0
    while len(text) - start > _PIECE:
        end = max(text.rfind(space, start + 1, start + _PIECE) for space in " \n\t")
        end = end if end > start else start + _PIECE
        yield text[start:end]
        start = end
    yield text[start:]


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
    written = json.dumps(options, sort_keys=True)
    return _models.get(sha256(written.encode()).digest(), lambda: _made(written), _WEIGHT + 8 * len(written))


def _made(options: str) -> qdrant_edge.Bm25:
    try:
        return qdrant_edge.Bm25(_config(Bm25Options.model_validate_json(options)))
    except ValueError as error:
        raise BadOption(f"options: {error}") from error


def _config(options: Bm25Options) -> qdrant_edge.Bm25Config:
    plain = options.model_dump(exclude={"tokenizer", "language", "stopwords", "stemmer"})
    language = STOPWORD_CODES.get(options.language or "", options.language)
    defaults = {"language": language} if language in {None, *get_args(Language)} else _of_no_stopwords(language)
    if options.tokenizer == "prefix" and options.max_token_len is None:
        plain["max_token_len"] = PREFIX_TOKEN_LEN
    return qdrant_edge.Bm25Config(
        **plain,
        tokenizer=_member(qdrant_edge.TokenizerType, options.tokenizer),
        **{**defaults, **_given(stopwords=_stopwords(options.stopwords), stemmer=_stemmer(options.stemmer))},
    )


def _of_no_stopwords(language: str | None) -> dict[str, Any]:
    """What stands for a language that has no stop words: its stemmer, if there is one. The library refuses its name."""
    name = STEMMER_CODES.get(language or "", language)
    known = name in get_args(SnowballLanguage)
    return {
        "stopwords": qdrant_edge.StopwordsSet(),
        "stemmer": _snowball(str(name)) if known else qdrant_edge.DisabledStemmer(),
    }


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


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
    return _snowball(stemmer.language)


def _snowball(language: str) -> qdrant_edge.SnowballParams:
    return qdrant_edge.SnowballParams(_member(qdrant_edge.SnowballLanguage, language))
