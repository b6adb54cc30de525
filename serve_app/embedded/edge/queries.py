"""Queries: Qdrant's requests as the engine's, with ids replaced by the vectors that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading, shard_keys
from serve_app.embedded.edge.averages import average
from serve_app.embedded.edge.filters import FILTER, both
from serve_app.embedded.edge.formulas import expression
from serve_app.embedded.edge.points import Kinds, point_id, vector
from serve_app.embedded.edge.reading import Object, built
from serve_app.embedded.edge.selection import order_by, with_payload, with_vector
from serve_app.embedded.engine.errors import GrpcError, bad_request, invalid, not_supported

DEFAULT_LIMIT = 10

_quantization = Object(
    "QuantizationSearchParams",
    edge.QuantizationSearchParams,
    {"ignore": reading.boolean, "rescore": reading.boolean, "oversampling": reading.Float(1.0)},
)
_acorn = Object(
    "AcornSearchParams",
    edge.AcornSearchParams,
    {"enable": reading.boolean, "max_selectivity": reading.Float(0.0, 1.0)},
)
_idf_corpus = Object("IdfCorpusParams", edge.IdfParams, {"corpus": FILTER}, required=("corpus",))


def _idf(value: Any, where: str) -> edge.IdfParams:
    return edge.IdfParams() if value == "global" else _idf_corpus(value, where)


PARAMS = Object(
    "SearchParams",
    edge.SearchParams,
    {
        "hnsw_ef": reading.Integer(1),
        "exact": reading.boolean,
        "quantization": _quantization,
        "indexed_only": reading.boolean,
        "acorn": _acorn,
        "idf": _idf,
    },
)


@dataclass(frozen=True)
class Lookup:
    """Where ids are looked up instead of in the collection that is searched."""

    collection: str
    vector: str | None = None


LOOKUP = Object(
    "LookupLocation",
    Lookup,
    {"collection": reading.string, "vector": reading.string, "shard_key": shard_keys.of_reading},
    required=("collection",),
)

Fetch = Callable[[Lookup | None, str, int | str], Any]
"""The vector of a point, under a name, in the collection that is searched or another."""

_REQUEST: dict[str, reading.Reader[Any]] = {
    "query": reading.anything,
    "prefetch": reading.one_or_many(reading.anything),
    "using": reading.string,
    "filter": FILTER,
    "params": PARAMS,
    "score_threshold": reading.number,
    "limit": reading.Integer(1),
    "lookup_from": LOOKUP,
}
_SELECTED = {"with_vector": with_vector, "with_payload": with_payload}
QUERY = Object(
    "QueryRequest",
    lambda **given: given,
    {**_REQUEST, **_SELECTED, "offset": reading.Integer(), "shard_key": shard_keys.of_reading},
)
PREFETCH = Object("Prefetch", lambda **given: given, _REQUEST)


@dataclass
class _Level:
    """One request of a query: what its vectors are looked up with, and the ids that its answer leaves out."""

    using: str
    lookup: Lookup | None
    limit: int
    excluded: set[Any] = field(default_factory=set)


def changed(request: edge.QueryRequest, **fields: Any) -> edge.QueryRequest:
    """The same request with other values of some fields."""
    return edge.QueryRequest(*(fields[name] if name in fields else getattr(request, name) for name in _ARGUMENTS))


_ARGUMENTS = (
    *("limit", "offset", "query", "prefetches", "with_vector", "with_payload", "filter", "score_threshold", "params"),
)
"""The engine's, in their order."""


class QueryReader:
    """Reads queries of a collection with vectors of these kinds."""

    def __init__(self, name: str, kinds: Kinds, fetch: Fetch, known: Callable[[str], Any]) -> None:
        """`known` raises for a collection that is not there."""
        self._name = name
        self._kinds = kinds
        self._fetch = fetch
        self._known = known

    def request(self, body: Any, where: str = "") -> edge.QueryRequest:
        """A query with all that is under it."""
        try:
            given = QUERY(body, where)
            parts = self._parts(given, where)
        except GrpcError as error:
            raise _within(error) from error
        return edge.QueryRequest(
            given.get("limit", DEFAULT_LIMIT),
            given.get("offset", 0),
            with_vector=given.get("with_vector", False),
            with_payload=given.get("with_payload", False),
            **parts,
        )

    def _prefetch(self, body: Any, where: str) -> edge.Prefetch:
        given = PREFETCH(body, where)
        return edge.Prefetch(given.get("limit", DEFAULT_LIMIT), **self._parts(given, where))

    def _parts(self, given: dict[str, Any], where: str) -> dict[str, Any]:
        """What requests and prefetches have in common."""
        reading.count()
        if "lookup_from" in given:
            self._known(given["lookup_from"].collection)
        level = _Level(given.get("using", ""), given.get("lookup_from"), given.get("limit", DEFAULT_LIMIT))
        prefetches = [
            self._prefetch(inner, f"{where}prefetch[{number}]")
            for number, inner in enumerate(given.get("prefetch", []))
        ]
        query = self._scoring(given["query"], f"{where}query", level) if "query" in given else None
        _check_together(given)
        own = level.lookup is None or level.lookup.collection == self._name
        others = edge.Filter(must_not=[edge.HasIdCondition(level.excluded)]) if own and level.excluded else None
        return {
            "query": query,
            "prefetches": prefetches,
            "filter": both(given.get("filter"), others),
            "score_threshold": given.get("score_threshold"),
            "params": given.get("params"),
        }

    def _scoring(self, value: Any, where: str, level: _Level) -> Any:
        if isinstance(value, dict) and "model" not in value:
            for name, read in _VARIANTS.items():
                if name in value:
                    return read(self, value, where, level)
        return self._nearest(value, where, level)

    def _nearest(self, value: Any, where: str, level: _Level) -> edge.Query:
        return edge.Query.Nearest(self.input(value, where, level), level.using)

    def input(self, value: Any, where: str, level: _Level) -> Any:
        """A vector, or that of the point whose id is given."""
        if isinstance(value, int | str) and not isinstance(value, bool):
            number = point_id(value, where)
            level.excluded.add(number)
            return self._fetch(level.lookup, level.using, number)
        return vector(self._kinds, level.using, value, where)

    def inputs(self, value: Any, where: str, level: _Level) -> list[Any]:
        """Several of these."""
        given = reading.items(reading.anything)(value or [], where)
        return [self.input(one, f"{where}[{number}]", level) for number, one in enumerate(given)]


_mmr = Object(
    "Mmr",
    lambda **given: given,
    {"diversity": reading.Float(0.0, 1.0), "candidates_limit": reading.Integer(0, 16384)},
)


def _read_nearest(reader: QueryReader, value: Any, where: str, level: _Level) -> Any:
    given = Object(
        "NearestQuery", lambda **given: given, {"nearest": reading.anything, "mmr": _mmr}, required=("nearest",)
    )(value, where)
    nearest = reader.input(given["nearest"], f"{where}.nearest", level)
    if "mmr" not in given:
        return edge.Query.Nearest(nearest, level.using)
    if isinstance(nearest, edge.SparseVector):
        raise not_supported("MMR of sparse vectors")
    diversity = given["mmr"].get("diversity", 0.5)
    candidates = given["mmr"].get("candidates_limit", level.limit)
    return edge.Mmr(nearest, 1.0 - diversity, candidates, level.using)


def _read_recommend(reader: QueryReader, value: Any, where: str, level: _Level) -> Any:
    examples = Object(
        "RecommendInput",
        lambda **given: given,
        {
            "positive": reading.anything,
            "negative": reading.anything,
            "strategy": reading.word("average_vector", "best_score", "sum_scores"),
        },
    )
    given = reading.variant("RecommendQuery", {"recommend": examples})(value, where)
    positive = reader.inputs(given.get("positive"), f"{where}.recommend.positive", level)
    negative = reader.inputs(given.get("negative"), f"{where}.recommend.negative", level)
    if not positive and not negative:
        raise invalid(f"{where}.recommend", "At least one positive or negative vector ID is required")
    strategy = given.get("strategy", "average_vector")
    if strategy == "average_vector":
        return edge.Query.Nearest(average(positive, negative), level.using)
    build = edge.Query.RecommendBestScore if strategy == "best_score" else edge.Query.RecommendSumScores
    return build(edge.RecommendQuery(positive, negative), level.using)


def _pairs(reader: QueryReader, value: Any, where: str, level: _Level) -> list[edge.ContextPair]:
    pair = Object(
        "ContextPair",
        lambda positive, negative: (positive, negative),
        {"positive": reading.anything, "negative": reading.anything},
        required=("positive", "negative"),
    )
    return [
        edge.ContextPair(
            reader.input(positive, f"{where}.positive", level), reader.input(negative, f"{where}.negative", level)
        )
        for positive, negative in reading.one_or_many(pair)(value if value is not None else [], where)
    ]


def _read_discover(reader: QueryReader, value: Any, where: str, level: _Level) -> Any:
    shape = Object(
        "DiscoverInput",
        lambda target, context=None: (target, context),
        {"target": reading.anything, "context": reading.anything},
        required=("target",),
    )
    target, context = reading.variant("DiscoverQuery", {"discover": shape})(value, where)
    target = reader.input(target, f"{where}.discover.target", level)
    pairs = _pairs(reader, context, f"{where}.discover.context", level)
    return edge.Query.Discover(edge.DiscoverQuery(target, pairs), level.using)


def _read_context(reader: QueryReader, value: Any, where: str, level: _Level) -> Any:
    context = reading.variant("ContextQuery", {"context": reading.anything})(value, where)
    return edge.Query.Context(edge.ContextQuery(_pairs(reader, context, f"{where}.context", level)), level.using)


_strategy = reading.variant(
    "FeedbackStrategy",
    {
        "naive": Object(
            "NaiveFeedbackStrategyParams",
            edge.NaiveFeedbackStrategy,
            {"a": reading.number, "b": reading.Float(0.0), "c": reading.number},
            required=("a", "b", "c"),
        )
    },
)


def _read_feedback(reader: QueryReader, value: Any, where: str, level: _Level) -> Any:
    item = Object(
        "FeedbackItem",
        lambda example, score: (example, score),
        {"example": reading.anything, "score": reading.number},
        required=("example", "score"),
    )
    shape = Object(
        "RelevanceFeedbackInput",
        lambda **given: given,
        {"target": reading.anything, "feedback": reading.items(item), "strategy": _strategy},
        required=("target", "feedback", "strategy"),
    )
    given = reading.variant("RelevanceFeedbackQuery", {"relevance_feedback": shape})(value, where)
    at = f"{where}.relevance_feedback"
    if not given["feedback"]:
        raise invalid(f"{at}.feedback", "Validation error: feedback elements must be non-empty")
    target = reader.input(given["target"], f"{at}.target", level)
    feedback = [
        edge.FeedbackItem(reader.input(example, f"{at}.feedback", level), score) for example, score in given["feedback"]
    ]
    return edge.Query.FeedbackNaive(edge.FeedbackNaiveQuery(target, feedback, given["strategy"]), level.using)


def _read_rrf(value: Any, where: str) -> Any:
    given = Object("Rrf", lambda **given: given, {"k": reading.Integer(1), "weights": reading.items(reading.number)})(
        value, where
    )
    return edge.Fusion.Rrf(given.get("k", 2), given.get("weights"))


def _read_formula(value: Any, where: str) -> Any:
    return Object(
        "FormulaQuery",
        edge.Formula,
        {"formula": expression, "defaults": reading.mapping(reading.anything)},
        required=("formula",),
    )({"defaults": {}, **value}, where)


_bm25 = Object("Bm25Params", edge.Bm25Params, {"k": reading.number, "b": reading.number})
_text = Object(
    "TextQueryInput",
    lambda query, scoring=None: (query, scoring),
    {"query": reading.string, "scoring": reading.variant("Bm25Scoring", {"bm25": _bm25})},
    required=("query",),
)


def _read_text(_: QueryReader, value: Any, where: str, level: _Level) -> Any:
    given = value["text"]
    words, scoring = (given, None) if isinstance(given, str) else _text(given, f"{where}.text")
    if not level.using:
        raise bad_request("a text query needs the name of a payload field in `using`")
    return built(edge.TextQuery, where, level.using, words, scoring)


def _plain(schema: str, name: str, read: reading.Reader[Any]) -> Any:
    shape = reading.variant(schema, {name: read})
    return lambda _, value, where, __: shape(value, where)


_FUSIONS = {"rrf": lambda: edge.Fusion.Rrf(2), "dbsf": edge.Fusion.Dbsf}
_VARIANTS: dict[str, Callable[[QueryReader, Any, str, _Level], Any]] = {
    "nearest": _read_nearest,
    "recommend": _read_recommend,
    "discover": _read_discover,
    "context": _read_context,
    "order_by": _plain("OrderByQuery", "order_by", order_by),
    "fusion": _plain("FusionQuery", "fusion", lambda value, where: reading.choice(_FUSIONS)(value, where)()),
    "rrf": _plain("RrfQuery", "rrf", _read_rrf),
    "formula": lambda _, value, where, __: _read_formula(value, where),
    "sample": _plain("SampleQuery", "sample", reading.choice({"random": edge.Sample.Random})),
    "relevance_feedback": _read_feedback,
    "text": _read_text,
}
"""The kinds of queries by the field that each is known by."""


def _within(error: GrpcError) -> GrpcError:
    """A value out of bounds is told with the path that it has in a server."""
    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return error
    return GrpcError(error.code, error.message.replace("body: [", "body: [internal.", 1), error.status)


def _check_together(given: dict[str, Any]) -> None:
    """What Qdrant refuses about a request whose parts are right by themselves."""
    query = given.get("query")
    if query is None and given.get("prefetch"):
        raise bad_request("A query is needed to merge the prefetches. Can't have prefetches without defining a query.")
    if query is None and "score_threshold" in given:
        raise bad_request(
            "A query is needed to use the score_threshold. Can't have score_threshold without defining a query."
        )
    if not isinstance(query, dict):
        return
    if "order_by" in query and "score_threshold" in given:
        raise bad_request("Can't use score_threshold with an order_by query.")
    if ("fusion" in query or "rrf" in query) and given.get("using"):
        raise bad_request("Fusion queries cannot be combined with the 'using' field.")
