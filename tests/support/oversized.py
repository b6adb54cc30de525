"""Bodies and messages that are much larger than they have use for, made for each field of each route and method."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel

from serve_app.api import openai, rerank
from serve_app.api.management import playground
from serve_app.inference import service_protocol
from serve_app.ledger.switches import SwitchChange
from serve_app.protocol.grpc_services import request_class
from tests.support.qdrant_api import OPENAPI

MANY = 3000
LONG = 'x"\n' * 30_000

VALUES: Mapping[str, Any] = {
    "numbers": [0] * MANY,
    "objects": [{}] * MANY,
    "texts": ["x"] * MANY,
    "text": LONG,
    "a number": -(1 << 62),
    "keys": {f"k{number}": {} for number in range(MANY // 4)},
    "a long name": {LONG: [{}] * MANY},
    "conditions": {"must": [{}] * MANY},
    "conditions of nothing": {"should": [{"key": LONG, "match": {"any": [{}] * MANY}}]},
    "filters in filters": {"must": [{"min_should": {"conditions": [{"must": [{}] * 10}] * (MANY // 10)}}]},
    "inference objects": [{"vector": {"text": "a", "model": "m"}, "query": {"text": "a", "model": "m"}}] * MANY,
    "an inference object under a long name": [{"id": 1, "vector": {LONG: {"text": 1, "model": LONG, LONG: 1}}}],
}
"""What may stand in a field instead of what should."""

_OURS: Mapping[tuple[str, str], type[BaseModel]] = {
    ("POST", "/inference"): service_protocol.Question,
    ("POST", "/v1/embeddings"): openai.Question,
    ("POST", "/v1/rerank"): rerank.Question,
    ("POST", "/v2/rerank"): rerank.Question,
    ("POST", "/rerank"): rerank.TeiQuestion,
    ("POST", "/inference/playground"): playground.Question,
    ("PUT", "/inference/settings"): SwitchChange,
}


_OLDER = {"vector", "filter", "positive", "target", "context", "searches", "params", "using", "with_payload"}
"""Of searches that Qdrant's description no longer has."""


def fields(method: str, path: str) -> set[str]:
    """The fields that a route's body has: none, if it has no body."""
    if (method, path) in _OURS:
        return set(_OURS[method, path].model_fields)
    if path not in OPENAPI["paths"] and re.search("/(search|recommend|discover)", path):
        return _OLDER
    described = OPENAPI["paths"].get(path, {}).get(method.lower(), {}).get("requestBody", {"content": {}})
    json = described["content"].get("application/json")  # a snapshot that is uploaded is none
    return set(_properties(json["schema"])) if json else set()


def routes_of_ours() -> list[tuple[str, str]]:
    return list(_OURS)


def _properties(schema: Any) -> Iterator[str]:
    while "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield from schema.get("properties", ())
    for key in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(key, ()):
            yield from _properties(part)


def messages(method: str) -> Iterator[tuple[str, Message]]:
    """Messages of a method, each with one field that has too much in it."""
    kind = request_class(method)
    for field in kind.DESCRIPTOR.fields:
        message = kind()
        if "collection_name" in kind.DESCRIPTOR.fields_by_name:
            message.collection_name = "c"  # type: ignore[attr-defined]
        if _swell(message, field, 2):
            yield field.name, message


def _swell(message: Any, field: FieldDescriptor, depth: int) -> bool:
    """Fill a field; whether it could hold much."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        return _swell_map(getattr(message, field.name), field)
    if field.is_repeated:
        values = getattr(message, field.name)
        many = [values.add() for _ in range(MANY)] if field.message_type else values.extend(_scalars(field, MANY))
        return bool(many or len(values))
    if field.message_type and depth:
        inner = getattr(message, field.name)
        inner.SetInParent()
        return sum(_swell(inner, below, depth - 1) for below in field.message_type.fields) > 0
    if field.type == FieldDescriptor.TYPE_STRING and field.name != "collection_name":
        setattr(message, field.name, LONG)
        return True
    return False


def _swell_map(values: Any, field: FieldDescriptor) -> bool:
    key = field.message_type.fields_by_name["key"]
    if key.type != FieldDescriptor.TYPE_STRING:
        return False
    value = field.message_type.fields_by_name["value"]
    for name in [LONG, *map(str, range(MANY // 4))]:
        if value.message_type:
            values[name].SetInParent()
        else:
            values[name] = _scalars(value, 1)[0]
    return True


def _scalars(field: FieldDescriptor, count: int) -> list[Any]:
    return [LONG[:10] if field.type == FieldDescriptor.TYPE_STRING else 0] * count
