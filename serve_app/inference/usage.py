"""Tokens per model, and how an answer tells them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from serve_app.protocol.grpc_services import response_class

Usage = Mapping[str, int]
"""Tokens by the catalogue's name of the model."""


def models(usage: Usage) -> dict[str, Any]:
    """Qdrant's InferenceUsage."""
    return {"models": {model: {"tokens": tokens} for model, tokens in usage.items()}}


def add_to_json(answer: bytes, usage: Usage) -> bytes:
    """Qdrant's answer with `usage.inference` added to what stands there already."""
    told = orjson.dumps(models(usage))
    if b'"usage"' not in answer and answer[:2] == b'{"' and answer[-1:] == b"}":
        return b'%b,"usage":{"inference":%b}}' % (answer[:-1], told)  # nothing stands there, and the rest stays
    body = orjson.loads(answer)
    body["usage"] = {**(body.get("usage") or {}), "inference": orjson.Fragment(told)}
    return orjson.dumps(body)


def add_to_proto(method: str, answer: bytes, usage: Usage) -> bytes:
    """The same for the response of a gRPC method.

    If nothing stands there, the usage goes to its end and the rest stays as it is, undecoded: a message's bytes behind
    another's are both in one. (What stands there is merged here, as not every parser does that.)
    """
    kind = response_class(method)
    stands_there = _sketch(method).FromString(answer).usage
    told: Any = kind.FromString(answer) if stands_there else kind()
    for model, tokens in usage.items():
        told.usage.inference.models[model].tokens = tokens
    encoded: bytes = told.SerializeToString()
    return encoded if stands_there else answer + encoded


@cache
def _sketch(method: str) -> Any:
    """A type that knows of a method's response its usage alone, as bytes, and passes over the rest."""
    file = descriptor_pb2.FileDescriptorProto(name=f"usage{method}", package="usage", syntax="proto2")
    number, field = (
        response_class(method).DESCRIPTOR.fields_by_name["usage"].number,
        descriptor_pb2.FieldDescriptorProto,
    )
    file.message_type.add(name="Sketch").field.add(
        name="usage", number=number, type=field.TYPE_BYTES, label=field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("usage.Sketch"))
