"""gRPC: messages as what stands in a REST body for the same.

Most messages have REST's fields under REST's names, and are read by walking these. What differs stands in the tables:
names by message and field, and readers of messages that are in REST something else than an object of their fields. A
name that REST does not have is thereby refused by the engine; nothing is left out but what says how to wait.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import Message
from grpc import StatusCode

from serve_app.embedded.engine.errors import GrpcError, malformed, wrong_input
from serve_app.embedded.engine.request_parts import RequestParts

JSON = Any

_LEFT_OUT = frozenset(("collection_name", "wait", "ordering", "read_consistency", "timeout"))
"""The collection is told apart from the body; every write is complete when it is answered."""

_RENAMED = {
    "vectors_config": "vectors",
    "sparse_vectors_config": "sparse_vectors",
    "shard_key_selector": "shard_key",
    "datetime_range": "range",
    "expression": "formula",
}
_RENAMED_IN = {
    ("qdrant.PointVectors", "vectors"): "vector",
    ("qdrant.DeletePointVectors", "vectors"): "vector",
    ("qdrant.PointsUpdateOperation.DeleteVectors", "vectors"): "vector",
    ("qdrant.LookupLocation", "collection_name"): "collection",
    ("qdrant.LookupLocation", "vector_name"): "vector",
    ("qdrant.CreateAlias", "collection_name"): "collection_name",
    ("qdrant.QuantizationConfig", "turboquant"): "turbo",
    ("qdrant.QuantizationConfigDiff", "turboquant"): "turbo",
    **{
        (f"qdrant.{name}", "with_vectors"): "with_vector"
        for name in ("QueryPoints", "QueryPointGroups", "GetPoints", "ScrollPoints")
    },
}
_OMITTED_IF_EMPTY = frozenset((("qdrant.Rrf", "weights"), ("qdrant.TextIndexParams", "tokenizer")))


def body(message: Message) -> dict[str, JSON]:
    """The fields of a message that have a value."""
    kind = message.DESCRIPTOR.full_name
    read: dict[str, JSON] = {}
    for field in message.DESCRIPTOR.fields:
        if (kind, field.name) in _RENAMED_IN:
            name = _RENAMED_IN[kind, field.name]
        elif field.name in _LEFT_OUT:
            continue
        else:
            name = _RENAMED.get(field.name, field.name)
        if not _has_value(message, field, kind):
            continue
        value = _value(field, getattr(message, field.name))
        if field.message_type is not None and field.message_type.full_name == "qdrant.PointsSelector":
            read.update(value)
        else:
            read[name] = value
    return read


def _has_value(message: Any, field: Any, kind: str) -> bool:
    if (kind, field.name) in _OMITTED_IF_EMPTY:
        return bool(getattr(message, field.name))
    return not field.has_presence or bool(message.HasField(field.name))


def _value(field: Any, value: Any) -> JSON:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        return {key: _single(inner, one) for key, one in value.items()}
    if field.is_repeated:
        return [_single(field, one) for one in value]
    return _single(field, value)


def _single(field: Any, value: Any) -> JSON:
    if field.enum_type is not None:
        return _word(field.enum_type, value)
    return read(value) if field.message_type is not None else value


def _word(enumeration: Any, number: int) -> str:
    """An enumeration's value as REST has it."""
    known = enumeration.values_by_number.get(number)
    if known is None:
        raise malformed(enumeration.name, "unknown variant")
    if enumeration.name == "Distance":
        return str(known.name)
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", known.name).lower()
    return snake.removeprefix("field_type_")


def read(message: Message) -> JSON:
    """A message as REST has it."""
    name = message.DESCRIPTOR.full_name
    if name in _COUNTED:
        counted.count()
    special = _SPECIAL.get(name)
    return special(message) if special else body(message)


_COUNTED = frozenset(("qdrant.Condition", "qdrant.PrefetchQuery"))
"""Of these a body of REST has so many at most, counted where it is read. As messages each takes 30 microseconds."""

counted = RequestParts()
"""What the call has of them that this thread reads."""


def _variant(message: Any, oneof: str | None = None) -> str:
    """The name of the field that a message of alternatives has."""
    name = oneof or message.DESCRIPTOR.oneofs[0].name
    kind = message.WhichOneof(name)
    if kind is None:
        raise malformed(message.DESCRIPTOR.name, "the message has no known variant")
    return str(kind)


def _inner(message: Any) -> JSON:
    """The value of the only field that is set, whatever its name."""
    kind = _variant(message)
    return _single(message.DESCRIPTOR.fields_by_name[kind], getattr(message, kind))


def _named(message: Any) -> JSON:
    """The same, under the field's name."""
    kind = _variant(message)
    name = _RENAMED_IN.get((message.DESCRIPTOR.full_name, kind), kind)
    return {name: _inner(message)}


def point_id(message: Any) -> int | str:
    """A number or a UUID."""
    return message.num if _variant(message) == "num" else message.uuid  # type: ignore[no-any-return]


def payload_value(message: Any) -> JSON:
    """A value of a payload."""
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return payload(message.struct_value.fields)
    if kind == "list_value":
        return [payload_value(one) for one in message.list_value.values]
    if kind == "double_value" and not math.isfinite(message.double_value):
        raise GrpcError(StatusCode.INVALID_ARGUMENT, "cannot convert to json number")
    return None if kind in (None, "null_value") else getattr(message, kind)


def payload(fields: Any) -> dict[str, JSON]:
    """A payload."""
    return {name: payload_value(value) for name, value in fields.items()}


def _refused_inference() -> GrpcError:
    return wrong_input("an inference object reached the embedded store, which takes only vectors")


def _sparse(message: Any) -> JSON:
    return {"indices": list(message.indices), "values": list(message.values)}


def _rows(message: Any) -> JSON:
    return [row.data[:] for row in message.vectors]


def _dense(message: Any) -> JSON:
    return message.data[:]  # a third faster than `list` for hundreds of numbers


_VECTORS: dict[str, Callable[[Any], JSON]] = {
    "id": point_id,
    "dense": _dense,
    "sparse": _sparse,
    "multi_dense": _rows,
}


def _vector(message: Any) -> JSON:
    """A vector in any of the forms that clients have sent since the beginning."""
    kind = message.WhichOneof("vector" if "vector" in message.DESCRIPTOR.oneofs_by_name else "variant")
    if kind in _VECTORS:
        return _VECTORS[kind](getattr(message, kind))
    if kind is not None:
        raise _refused_inference()
    if message.DESCRIPTOR.name == "VectorInput":
        raise malformed("query", "the message has a VectorInput without a known variant")
    data = list(message.data)
    if message.HasField("indices"):
        return {"indices": list(message.indices.data), "values": data}
    if message.HasField("vectors_count"):
        size = len(data) // max(message.vectors_count, 1)
        return [data[start : start + size] for start in range(0, len(data), max(size, 1))]
    return data


def _vectors(message: Any) -> JSON:
    """The vectors of a point: one without a name, or several by name."""
    kind = _variant(message)
    if kind == "vectors":
        return {name: _vector(one) for name, one in message.vectors.vectors.items()}
    single = _vector(message.vector)
    if isinstance(single, dict):  # in REST this would be vectors by name
        raise malformed("vector", "a sparse vector needs a name")
    return single


def _point(message: Any) -> JSON:
    return {
        "id": point_id(message.id),
        "vector": _vectors(message.vectors) if message.HasField("vectors") else {},
        "payload": payload(message.payload),
    }


def _condition(message: Any) -> JSON:
    kind = _variant(message)
    inner = getattr(message, kind)
    if kind in ("field", "filter"):
        return read(inner)
    if kind == "has_id":
        return {"has_id": [point_id(one) for one in inner.has_id]}
    if kind == "has_vector":
        return {"has_vector": inner.has_vector}
    return {kind: read(inner)}


_MATCHES = {
    "keyword": ("value", None),
    "integer": ("value", None),
    "boolean": ("value", None),
    "keywords": ("any", "strings"),
    "integers": ("any", "integers"),
    "except_keywords": ("except", "strings"),
    "except_integers": ("except", "integers"),
}


def _match(message: Any) -> JSON:
    kind = _variant(message)
    value = getattr(message, kind)
    name, inner = _MATCHES.get(kind, (kind, None))
    return {name: list(getattr(value, inner)) if inner else value}


def _selected_payload(message: Any) -> JSON:
    kind = _variant(message)
    return message.enable if kind == "enable" else {kind: list(getattr(message, kind).fields)}


def _selected_vectors(message: Any) -> JSON:
    return message.enable if _variant(message) == "enable" else list(message.include.names)


def _selected_points(message: Any) -> JSON:
    kind = _variant(message)
    return {"points": [point_id(one) for one in message.points.ids]} if kind == "points" else _named(message)


def _timestamp(message: Any) -> str:
    return str(message.ToJsonString())


_AS_OBJECTS = ("nearest_with_mmr", "formula")


def _query(message: Any) -> JSON:
    kind = _variant(message)
    if kind in _AS_OBJECTS:
        return body(getattr(message, kind))
    if kind == "text" and not message.text.WhichOneof("scoring"):
        return {"text": message.text.query}
    if kind == "text":
        return {"text": {"query": message.text.query, "scoring": {"bm25": body(message.text.bm25)}}}
    return {kind: _inner(message)}


def _expression(message: Any) -> JSON:
    kind = _variant(message)
    inner = _inner(message)
    if kind in ("constant", "variable", "condition"):
        return inner
    if kind in ("mult", "sum", "max", "min"):
        return inner  # these messages have one field, with their name
    return {kind: inner}


def _index_params(message: Any) -> JSON:
    kind = _variant(message)
    return {"type": kind.removesuffix("_index_params"), **body(getattr(message, kind))}


def _stemmer(message: Any) -> JSON:
    if _variant(message) == "disabled":
        return {"type": "none"}
    return {"type": "snowball", "language": message.snowball.language.lower()}


def _idf(message: Any) -> JSON:
    return body(message) if message.HasField("corpus") else "global"


def _diff(message: Any) -> JSON:
    return "Disabled" if _variant(message) == "disabled" else _named(message)


def _stopwords(message: Any) -> JSON:
    return {"languages": [one.lower() for one in message.languages], "custom": list(message.custom)}


def _shard_keys(message: Any) -> JSON:
    keys = [_inner(one) for one in message.shard_keys if one.WhichOneof("key")]
    if message.HasField("fallback") and len(keys) == 1:
        return {"target": keys[0], "fallback": _inner(message.fallback)}
    if message.HasField("fallback"):
        raise wrong_input("a fallback shard key can be set only when a single shard key is provided")
    return keys[0] if len(keys) == 1 else keys


def _vectors_diff(message: Any) -> JSON:
    return {"": body(message.params)} if _variant(message) == "params" else _map(message.params_map)


def _map(message: Any) -> JSON:
    return {name: read(one) for name, one in message.map.items()}


_SPECIAL: dict[str, Callable[[Any], JSON]] = {
    f"qdrant.{name}": special
    for name, special in {
        "PointId": point_id,
        "Value": payload_value,
        "PointStruct": _point,
        "Vectors": _vectors,
        "Vector": _vector,
        "VectorInput": _vector,
        "SparseVector": _sparse,
        "VectorsSelector": lambda message: list(message.names),
        "PointsSelector": _selected_points,
        "WithPayloadSelector": _selected_payload,
        "WithVectorsSelector": _selected_vectors,
        "Condition": _condition,
        "Match": _match,
        "Query": _query,
        "ContextInput": lambda message: [body(pair) for pair in message.pairs],
        "Expression": _expression,
        "ShardKey": _inner,
        "ShardKeySelector": _shard_keys,
        "StartFrom": _inner,
        "IdfParams": _idf,
        "FeedbackStrategy": _named,
        "VectorsConfig": _inner,
        "VectorParamsMap": _map,
        "VectorsConfigDiff": _vectors_diff,
        "VectorParamsDiffMap": _map,
        "SparseVectorConfig": _map,
        "QuantizationConfig": _named,
        "QuantizationConfigDiff": _diff,
        "MaxOptimizationThreads": _inner,
        "PayloadIndexParams": _index_params,
        "StemmingAlgorithm": _stemmer,
        "StopwordsSet": _stopwords,
        "StrictModeMultivectorConfig": lambda message: {
            name: body(one) for name, one in message.multivector_config.items()
        },
        "StrictModeSparseConfig": lambda message: {name: body(one) for name, one in message.sparse_config.items()},
        "AliasOperations": _named,
    }.items()
}
_SPECIAL["google.protobuf.Timestamp"] = _timestamp

_UPDATES = {
    "delete_points": "delete",
    "delete_deprecated": "delete",
    "clear_payload_deprecated": "clear_payload",
}


def updates(messages: Any) -> Iterator[dict[str, JSON]]:
    """The operations of a batch of updates."""
    for message in messages:
        kind = _variant(message)
        yield {_UPDATES.get(kind, kind): read(getattr(message, kind))}
