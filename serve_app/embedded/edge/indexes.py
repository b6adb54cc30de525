"""Payload indexes: Qdrant's schemas of fields as the engine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qdrant_edge as edge

from deployments.catalogue.languages import STEMMER_CODES, STOPWORD_CODES
from serve_app.embedded.edge import reading
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.engine.errors import invalid, malformed

MEMORY = {"cold": edge.Memory.Cold, "cached": edge.Memory.Cached, "pinned": edge.Memory.Pinned}

TYPES = {
    name: getattr(edge.PayloadSchemaType, name.capitalize())
    for name in ("keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid")
}


def _by_name(enumeration: Any) -> dict[str, Any]:
    return {name.lower(): getattr(enumeration, name) for name in dir(enumeration) if name[0].isupper()}


def _without_type(build: Callable[..., Any]) -> Callable[..., Any]:
    return lambda type, **given: build(**given)  # noqa: A006, ARG005  Qdrant's name


def _with_codes(languages: dict[str, Any], codes: Mapping[str, str]) -> dict[str, Any]:
    return {**languages, **{code: languages[name] for code, name in codes.items() if name in languages}}


_LANGUAGE = reading.choice(_with_codes(_by_name(edge.Language), STOPWORD_CODES))
_stopwords_set = Object(
    "StopwordsSet",
    edge.StopwordsSet,
    {
        "languages": lambda value, where: set(reading.items(_LANGUAGE)(value, where)),
        "custom": lambda value, where: set(reading.items(reading.string)(value, where)),
    },
)


def _stopwords(value: Any, where: str) -> Any:
    return _LANGUAGE(value, where) if isinstance(value, str) else _stopwords_set(value, where)


_snowball = Object(
    "SnowballParams",
    _without_type(edge.SnowballParams),
    {
        "type": reading.word("snowball"),
        "language": reading.choice(_with_codes(_by_name(edge.SnowballLanguage), STEMMER_CODES)),
    },
    required=("type", "language"),
)
_no_stemmer = Object(
    "DisabledStemmerParams",
    _without_type(edge.DisabledStemmer),
    {"type": reading.word("none")},
    required=("type",),
)


def _stemmer(value: Any, where: str) -> Any:
    is_none = isinstance(value, dict) and value.get("type") == "none"
    return (_no_stemmer if is_none else _snowball)(value, where)


_scoring_params = Object(
    "TextScoringParams",
    edge.TextScoringParams,
    {"type": reading.choice(_by_name(edge.TextScoringType))},
    required=("type",),
)


def _scoring(value: Any, where: str) -> Any:
    return value if isinstance(value, bool) else _scoring_params(value, where)


_COMMON: dict[str, reading.Reader[Any]] = {
    "on_disk": reading.boolean,
    "memory": reading.choice(MEMORY),
    "enable_hnsw": reading.boolean,
    "nested": reading.string,
}
_TEXT: dict[str, reading.Reader[Any]] = {
    "tokenizer": reading.choice(_by_name(edge.TokenizerType)),
    "min_token_len": reading.Integer(),
    "max_token_len": reading.Integer(),
    "lowercase": reading.boolean,
    "ascii_folding": reading.boolean,
    "phrase_matching": reading.boolean,
    "stopwords": _stopwords,
    "stemmer": _stemmer,
    "scoring": _scoring,
}


def _integer(lookup: bool = True, range: bool = True, **given: Any) -> Any:  # noqa: A002, FBT001, FBT002  Qdrant's names
    if not lookup and not range:
        raise invalid("field_schema", "Validation error: the 'lookup' and 'range' capabilities can't be both disabled")
    return edge.IntegerIndexParams(lookup=lookup, range=range, **given)


_PARAMS: dict[str, tuple[Callable[..., Any], dict[str, reading.Reader[Any]]]] = {
    "keyword": (edge.KeywordIndexParams, {"is_tenant": reading.boolean, "prefix": reading.boolean}),
    "integer": (
        _integer,
        {"lookup": reading.boolean, "range": reading.boolean, "is_principal": reading.boolean},
    ),
    "float": (edge.FloatIndexParams, {"is_principal": reading.boolean}),
    "geo": (edge.GeoIndexParams, {}),
    "text": (edge.TextIndexParams, _TEXT),
    "bool": (edge.BoolIndexParams, {}),
    "datetime": (edge.DatetimeIndexParams, {"is_principal": reading.boolean}),
    "uuid": (edge.UuidIndexParams, {"is_tenant": reading.boolean}),
}
PARAMS = {
    name: Object(
        f"{name.capitalize()}IndexParams",
        _without_type(build),
        {"type": reading.word(name), **own, **_COMMON},
        required=("type",),
    )
    for name, (build, own) in _PARAMS.items()
}


def schema(value: Any, where: str) -> Any:
    """A field's type, alone or with parameters."""
    if isinstance(value, str):
        return reading.choice(TYPES)(value, where)
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in PARAMS:
        raise malformed(f"{where}.type", f"unknown variant, expected one of {', '.join(PARAMS)}")
    return PARAMS[kind](value, where)


CREATE = Object(
    "CreateFieldIndex",
    lambda **given: given,
    {"field_name": reading.string, "field_schema": schema},
    required=("field_name",),
)


def type_name(data_type: Any) -> str:
    """Qdrant's word for an index's type."""
    return next(name for name, value in TYPES.items() if value == data_type)
