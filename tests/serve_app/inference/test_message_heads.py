"""What is told of messages without decoding them, against what stands in them once they are decoded."""

from __future__ import annotations

import random
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from qdrant_client import grpc as q

from deployments.errors import MalformedRequest
from serve_app.inference import find_proto
from serve_app.inference.message_heads import head
from serve_app.inference.places import GRPC_PLACES
from serve_app.protocol.grpc_services import request_class

_VALUES: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_STRING: lambda chance: chance.choice(["", "c", "model \u00e9"]),
    FieldDescriptor.CPPTYPE_BOOL: lambda chance: chance.random() < 0.5,
    FieldDescriptor.CPPTYPE_ENUM: lambda chance: 0,
}


def filled(message: Any, chance: random.Random, depth: int = 0) -> Any:
    """A message with random fields set, and one of each that exclude each other."""
    fields = [field for field in message.DESCRIPTOR.fields if not field.containing_oneof and chance.random() < 0.7]
    fields += [chance.choice(oneof.fields) for oneof in message.DESCRIPTOR.oneofs]
    for field in fields:
        if field.message_type and depth > 9:
            continue
        if field.message_type and field.message_type.GetOptions().map_entry:
            _fill_map(message, field, chance, depth)
        elif field.message_type and field.is_repeated:
            for _ in range(chance.randrange(4)):
                filled(getattr(message, field.name).add(), chance, depth + 1)
        elif field.message_type:
            getattr(message, field.name).SetInParent()
            filled(getattr(message, field.name), chance, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(_value(field, chance) for _ in range(chance.randrange(4)))
        else:
            setattr(message, field.name, _value(field, chance))
    return message


def _fill_map(message: Any, field: Any, chance: random.Random, depth: int) -> None:
    key = _value(field.message_type.fields_by_name["key"], chance)
    if field.message_type.fields_by_name["value"].message_type:
        filled(getattr(message, field.name)[key], chance, depth + 1)
    else:
        getattr(message, field.name)[key] = _value(field.message_type.fields_by_name["value"], chance)


def _value(field: Any, chance: random.Random) -> Any:
    return _VALUES.get(field.cpp_type, lambda chance: chance.randrange(100))(chance)


def holds(message: Any) -> bool:
    try:
        return bool(find_proto.find(message))
    except MalformedRequest:  # an object without a model
        return True


@pytest.mark.parametrize("method", GRPC_PLACES)
def test_whether_a_message_may_hold_objects_is_told_as_by_decoding_it(method: str) -> None:
    verdicts = set()
    for seed in range(60):
        message = filled(request_class(method)(), random.Random(seed))
        known = head(method, message.SerializeToString())
        assert known.may_hold_objects == holds(message), f"seed {seed}"
        assert known.timeout == getattr(message, "timeout", 0)
        assert known.collection == message.collection_name
        verdicts.add(known.may_hold_objects)
    assert verdicts == {True, False}


def test_fields_that_come_twice_are_merged_and_the_last_name_counts() -> None:
    first = q.QueryPoints(collection_name="a", query=q.Query(nearest=q.VectorInput(document=q.Document(model="m"))))
    second = q.QueryPoints(collection_name="b", query=q.Query(nearest=q.VectorInput(id=q.PointId(num=1))))
    known = head("/qdrant.Points/Query", first.SerializeToString() + second.SerializeToString())
    assert known == ("b", 0, True), "an object that another value takes the place of may be told, never one be missed"
    again = q.QueryPoints(collection_name="b", query=q.Query(nearest=q.VectorInput(document=q.Document(model="m"))))
    assert head("/qdrant.Points/Query", second.SerializeToString() + again.SerializeToString()).may_hold_objects


@pytest.mark.parametrize(
    ("method", "message", "seconds"),
    [
        ("/qdrant.Points/Query", q.QueryPoints(timeout=7), 7),
        ("/qdrant.Points/Query", q.QueryPoints(), 0),
        ("/qdrant.Qdrant/HealthCheck", q.HealthCheckRequest(), 0),
    ],
)
def test_what_a_message_asks_for(method: str, message: Any, seconds: int) -> None:
    assert head(method, message.SerializeToString()).timeout == seconds


def test_an_empty_object_is_one() -> None:
    message = q.QueryPoints(query=q.Query(nearest=q.VectorInput(document=q.Document())))
    assert head("/qdrant.Points/Query", message.SerializeToString()).may_hold_objects


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x7fshort", b"\x22" * 300])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRequest):
        head("/qdrant.Points/Query", data)


@pytest.mark.parametrize("method", ["/qdrant.Points/Delete", "/qdrant.Collections/Create", "/qdrant.Points/Search"])
def test_methods_that_take_no_objects_hold_none(method: str) -> None:
    for seed in range(20):
        message = filled(request_class(method)(), random.Random(seed))
        assert not head(method, message.SerializeToString()).may_hold_objects
