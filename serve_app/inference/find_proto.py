"""Finding inference objects in a gRPC message.

Which fields lead to a vector is read off the descriptors once per message type, so that a message's payloads and
filters are never walked, and a place that a newer schema adds is found.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from deployments.contract import Floats, SparseVector, Vector
from serve_app.inference.objects import (
    ANY_NUMBER,
    NO_OPTIONS,
    InferenceObject,
    Path,
    Slot,
    in_words,
    no_model,
    too_many,
)
from serve_app.protocol.qdrant_messages import grpc

HOLDERS = frozenset({grpc.Vector.DESCRIPTOR.full_name, grpc.VectorInput.DESCRIPTOR.full_name})
"""The messages in which an inference object may stand instead of numbers."""

_ONEOFS = {kind.DESCRIPTOR.full_name: kind.DESCRIPTOR.oneofs[0].name for kind in (grpc.Vector, grpc.VectorInput)}
"""The names of what they hold one of."""

OBJECTS = {"document": "text", "image": "image", "object": "object"}
"""The fields of these in which it stands, and those of it in which its input stands."""


def find(message: Message, most: int = ANY_NUMBER) -> list[Slot]:
    """The slots of all inference objects in a message, in the order of its fields.

    Raises:
        MalformedRequest: one of them names no model.
        WrongInput: there are more than `most`; then no more is looked for.
    """
    walk = _Walk(most)
    walk.into(message, "", named=False)
    return walk.slots


_Fields = tuple[tuple[str, bool, bool], ...]
"""The names of some fields, and which are maps and lists."""


class _Walk:
    """Gathers the inference objects in a message, `most` at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.slots: list[Slot] = []

    def into(self, message: Any, path: Path, *, named: bool) -> None:
        """Look into a message that `path` leads to."""
        way = _way(message.DESCRIPTOR)
        if way.holds is not None:
            self._at(message, message.WhichOneof(way.holds), path, named=named)
            return
        if way.says_using:
            named = bool(message.using)
        if way.variant is not None:
            name = message.WhichOneof(way.variant)
            if name in way.variants:
                self.into(getattr(message, name), (path, name), named=named)
        if way.fields:
            self._into_fields(message, way.fields, path, named=named)

    def _into_fields(self, message: Any, fields: _Fields, path: Path, *, named: bool) -> None:
        for name, is_map, is_repeated in fields:
            value = getattr(message, name)
            if is_map:
                for key in value:
                    self.into(value[key], ((path, name), str(key)), named=True)
            elif is_repeated:
                for position, item in enumerate(value):
                    self.into(item, ((path, name), position), named=named)
            elif message.HasField(name):
                self.into(value, (path, name), named=named)

    def _at(self, holder: Any, variant: str | None, path: Path, *, named: bool) -> None:
        """Look at what stands where a vector may stand."""
        if variant in OBJECTS:
            wanted = _read(getattr(holder, variant), OBJECTS[variant], path)
            if len(self.slots) >= self._most:
                raise too_many(self._most)
            self.slots.append(Slot(path, wanted, named, partial(_put, holder)))


class _Way(NamedTuple):
    """What is to be known of a message type on the way.

    `holds` is the name of what it holds one of, if an inference object may stand in it. `fields` are those to go on by,
    but for those of which only one is there: the `variants` of `variant`.
    """

    holds: str | None
    says_using: bool
    variant: str | None
    variants: frozenset[str]
    fields: _Fields


@cache
def _way(descriptor: Descriptor) -> _Way:
    on = ways(descriptor)
    oneofs = [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]  # an optional field is one, too
    variant = oneofs[0].name if len(oneofs) == 1 else None
    one_of = [field for field in on if variant and field.containing_oneof and field.containing_oneof.name == variant]
    fields = tuple((field.name, _is_map(field), field.is_repeated) for field in on if field not in one_of)
    says_using = bool(on) and "using" in descriptor.fields_by_name
    variants = frozenset(field.name for field in one_of)
    return _Way(_ONEOFS.get(descriptor.full_name), says_using, variant, variants, fields)


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


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def _read(message: Any, name: Any, path: Path) -> InferenceObject:
    if not message.model:
        raise no_model(in_words(path))
    data = getattr(message, name)
    options = {key: _plain(value) for key, value in message.options.items()} if message.options else NO_OPTIONS
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
        holder.sparse.CopyFrom(grpc.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist()))
    elif vector.ndim == 1:
        holder.dense.ParseFromString(_packed(vector))
    else:
        rows = [grpc.DenseVector.FromString(_packed(row)) for row in vector]
        holder.multi_dense.CopyFrom(grpc.MultiDenseVector(vectors=rows))


_BASE = 128
_DATA = grpc.DenseVector.DESCRIPTOR.fields_by_name["data"].number


def _packed(row: Floats) -> bytes:
    """A `qdrant.DenseVector` on the wire: its numbers in one piece, which takes no Python object for each."""
    numbers = row.astype("<f4", copy=False).tobytes()
    return bytes((_DATA << 3 | 2,)) + _varint(len(numbers)) + numbers


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >= _BASE:
        digits.append(number % _BASE + _BASE)
        number //= _BASE
    digits.append(number)
    return bytes(digits)
