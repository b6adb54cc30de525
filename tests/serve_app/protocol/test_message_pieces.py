"""Messages that are parsed in pieces are the same as those that are parsed in one go."""

from __future__ import annotations

import random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from qdrant_client import grpc
from qdrant_client.conversions.conversion import payload_to_grpc

from serve_app.protocol import message_pieces
from serve_app.protocol.message_pieces import PIECE, TooManyFieldsError, parse

PAYLOAD = payload_to_grpc({"text": "tea", "in": {"a": [1, None, {"b": "c" * 40}]}, "list": [[], [1.5] * 30, {}]})
VECTORS = grpc.Vectors(vectors=grpc.NamedVectors(vectors={"a": grpc.Vector(dense=grpc.DenseVector(data=[0.1] * 9))}))
POINT = grpc.PointStruct(id=grpc.PointId(num=1), vectors=VECTORS, payload=PAYLOAD)
UPSERT = grpc.UpsertPoints(collection_name="c", wait=True, points=[POINT] * 5)
BATCH = grpc.UpdateBatchPoints(
    collection_name="c",
    operations=[grpc.PointsUpdateOperation(upsert=grpc.PointsUpdateOperation.PointStructList(points=[POINT] * 3))] * 2,
)
QUERY = grpc.QueryPoints(
    prefetch=[grpc.PrefetchQuery(filter=grpc.Filter(must=[grpc.Condition(filter=grpc.Filter())] * 20))], limit=3
)
MESSAGES = [UPSERT, BATCH, QUERY, grpc.UpsertPoints()]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.DESCRIPTOR.name)
@pytest.mark.parametrize("size", [0, 1, 2, 7, 30, 100, PIECE])
def test_a_message_is_the_same(message: Any, size: int) -> None:
    data = message.SerializeToString()
    assert parse(type(message), data, size) == message
    twice = type(message).FromString(data + data)
    assert parse(type(message), data + data, size) == twice, "fields that come twice are merged"


@pytest.mark.parametrize("message", MESSAGES[:3], ids=lambda message: message.DESCRIPTOR.name)
def test_what_is_no_message_is_refused(message: Any) -> None:
    seeds = random.Random(1)
    data = message.SerializeToString()
    for _ in range(300):
        damaged = bytearray(data)
        damaged[seeds.randrange(len(data))] = seeds.randrange(256)
        del damaged[seeds.randrange(1, len(data) + 1) :]
        try:
            expected = type(message).FromString(bytes(damaged))
        except DecodeError:
            with pytest.raises(DecodeError):
                parse(type(message), bytes(damaged), 3)
        else:
            assert parse(type(message), bytes(damaged), 3) == expected


def test_the_last_entry_of_a_map_counts() -> None:
    first, last = (grpc.PointStruct(payload=payload_to_grpc({"a": value})) for value in ({"x": 1}, {"y": 2}))
    data = first.SerializeToString() + last.SerializeToString()
    assert parse(grpc.PointStruct, data, 1) == last == grpc.PointStruct.FromString(data)


@pytest.mark.parametrize("field", [b"\x1a\x00", b"\x10\x01"], ids=["points", "wait"])
def test_a_message_of_nothing_but_fields_is_refused(field: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_pieces, "MOST_FIELDS", 40_000)
    with pytest.raises(TooManyFieldsError):
        parse(grpc.UpsertPoints, field * 50_000)


def test_messages_in_messages_have_an_end() -> None:
    must = grpc.Filter.DESCRIPTOR.fields_by_name["must"].number << 3 | 2
    inner = grpc.Condition.DESCRIPTOR.fields_by_name["filter"].number << 3 | 2
    data = b""
    for number in range(2000):
        length = bytes([len(data) & 127 | 128, len(data) >> 7 & 127 | 128, len(data) >> 14])
        data = bytes([inner if number % 2 else must]) + length + data
    with pytest.raises(DecodeError):
        parse(grpc.Filter, data[4:], 1)


def test_no_call_of_the_parser_gets_much_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    merge = grpc.UpsertPoints.MergeFromString
    kinds: list[Any] = [grpc.UpsertPoints, grpc.PointStruct, grpc.Value, grpc.ListValue, grpc.Struct]
    for kind in kinds:
        merge = kind.MergeFromString
        monkeypatch.setattr(
            kind, "MergeFromString", lambda self, part, merge=merge: sizes.append(len(part)) or merge(self, part)
        )
    many = grpc.UpsertPoints(points=[grpc.PointStruct(payload=payload_to_grpc({"a": {"b": [None] * 200_000}}))])
    assert parse(grpc.UpsertPoints, many.SerializeToString()) == many
    assert max(sizes) < PIECE + 100
