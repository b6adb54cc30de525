"""Finding inference objects in a gRPC message.

Which fields lead to a vector is read off the descriptors once per message type, so that a message's payloads and
filters are never walked, and a place that a newer schema adds is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from qdrant_client import grpc

from deployments.contract import SparseVector, Vector
from serve_app.inference.objects import ANY_NUMBER, SHOWN, InferenceObject, Slot, check_number, no_model

HOLDERS = frozenset({grpc.Vector.DESCRIPTOR.full_name, grpc.VectorInput.DESCRIPTOR.full_name})
"""The messages in which an inference object may stand instead of numbers."""

_OBJECTS = {"document": "text", "image": "image", "object": "object"}


def find(message: Message, most: int = ANY_NUMBER) -> list[Slot]:
    """The slots of all inference objects in a message, in the order of its fields.

    Raises:
        MalformedRequest: one of them names no model.
        WrongInput: there are more than `most`; then no more is looked for.
    """
    slots: list[Slot] = []
    for slot in _walk(message, "", named=False):
        check_number(len(slots) + 1, most)
        slots.append(slot)
    return slots


def _walk(message: Message, where: str, *, named: bool) -> Iterator[Slot]:
    if message.DESCRIPTOR.full_name in HOLDERS:
        yield from _slot(message, where, named=named)
        return
    fields = ways(message.DESCRIPTOR)
    if fields and "using" in message.DESCRIPTOR.fields_by_name:
        named = bool(message.using)  # type: ignore[attr-defined]
    for field in fields:
        for child, place in _children(message, field, where):
            yield from _walk(child, place, named=named or _is_map(field))


@cache
def ways(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields of a message type that lead to a vector."""
    return tuple(field for field in descriptor.fields if field.message_type and _leads(field.message_type))


@cache
def _leads(descriptor: Descriptor) -> bool:
    """Whether a vector stands somewhere below this message type."""
    seen, ahead = {descriptor.full_name}, [descriptor]
    while ahead:
        for field in ahead.pop().fields:
            target = field.message_type
            if target and target.full_name not in seen:
                seen.add(target.full_name)
                ahead.append(target)
    return not HOLDERS.isdisjoint(seen)


def _children(message: Message, field: FieldDescriptor, where: str) -> Iterator[tuple[Message, str]]:
    place = f"{where}.{field.name}" if where else field.name
    value: Any = getattr(message, field.name)
    if _is_map(field):
        yield from ((value[key], f"{place}.{str(key)[:SHOWN]}") for key in value)
    elif field.is_repeated:
        yield from ((item, f"{place}[{position}]") for position, item in enumerate(value))
    elif message.HasField(field.name):
        yield value, place


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _slot(holder: Any, where: str, *, named: bool) -> Iterator[Slot]:
    variant = holder.WhichOneof(holder.DESCRIPTOR.oneofs[0].name)
    name = _OBJECTS.get(variant)
    if name is not None:
        yield Slot(where, _read(getattr(holder, variant), name, where), named, partial(_put, holder))


def _read(message: Any, name: Any, where: str) -> InferenceObject:
    if not message.model:
        raise no_model(where)
    data = getattr(message, name)
    options = {key: _plain(value) for key, value in message.options.items()}
    return InferenceObject(name, data if name == "text" else _plain(data), message.model, options)


def _plain(value: Message) -> Any:
    """A `qdrant.Value` as Python's own."""
    kind = value.WhichOneof("kind")
    if kind in {None, "null_value"}:
        return None
    if kind == "struct_value":
        return {key: _plain(item) for key, item in value.struct_value.fields.items()}  # type: ignore[attr-defined]
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]  # type: ignore[attr-defined]
    return getattr(value, str(kind))


def _put(holder: Any, vector: Vector) -> None:
    if isinstance(vector, SparseVector):
        holder.sparse.CopyFrom(grpc.SparseVector(indices=vector.indices, values=vector.values))
    elif vector.ndim == 1:
        holder.dense.CopyFrom(grpc.DenseVector(data=vector))
    else:
        holder.multi_dense.CopyFrom(grpc.MultiDenseVector(vectors=[grpc.DenseVector(data=row) for row in vector]))
