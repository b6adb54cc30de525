"""What can be told of a gRPC message without building it: whether an inference object may stand in it, and little else.

Each method's message has a sketch: a message type that knows only the fields which lead to a vector, and of those
where an object may stand only whether it is there. What a type does not know, a parser of Protocol Buffers passes over,
and what is not repeated in a type but comes several times is merged (both are said of the wire format). So a
thousand points become one, and the sketch that C code makes of a message is as small as its types are deep.

Source: protobuf.dev/programming-guides/encoding, "Last One Wins" and "Unknown fields".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from deployments.errors import MalformedRequest, TooLarge
from serve_app.inference.find_proto import HOLDERS, OBJECTS, ways
from serve_app.inference.places import GRPC_PLACES
from serve_app.protocol import message_pieces
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.message_pieces import MOST_FIELDS, TooManyFieldsError

_FIELD = descriptor_pb2.FieldDescriptorProto
_HEAD = {"collection_name": _FIELD.TYPE_BYTES, "timeout": _FIELD.TYPE_UINT64}
"""Fields of requests that are read, and as what."""


class Head(NamedTuple):
    """What is known of a message.

    The collection that it names ("" if none), the seconds that it asks for (0 if none), and whether an inference object
    may stand in it; if not, none does.
    """

    collection: str
    timeout: int
    may_hold_objects: bool


def head(method: str, message: bytes) -> Head:
    """Look at the message of a method.

    Raises:
        MalformedRequest, TooLarge: as `parsed`.
    """
    sketch: Any = parsed(_sketch(method), message)
    collection, timeout = getattr(sketch, "collection_name", b""), getattr(sketch, "timeout", 0)
    return Head(collection.decode(errors="replace"), timeout, method in GRPC_PLACES and _holds(sketch))


def parsed(kind: type[Message], message: bytes) -> Message:
    """A message from its bytes.

    Raises:
        MalformedRequest: they are no such message.
        TooLarge: it has more fields than others can be kept waiting for.
    """
    try:
        return message_pieces.parse(kind, message)
    except DecodeError as error:
        raise MalformedRequest("the call's message cannot be decoded") from error
    except TooManyFieldsError as error:
        raise TooLarge(f"the message has more than {MOST_FIELDS:,} fields; send it in parts") from error


def _holds(sketch: Message) -> bool:
    for field, value in sketch.ListFields():  # noqa: SIM110  a generator takes longer than all else here
        if field.name in OBJECTS or (field.message_type and _holds(value)):
            return True
    return False


@cache
def _sketch(method: str) -> type[Message]:
    """The sketch of a method's message."""
    request: Any = request_class(method).DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto(name=f"sketch/{request.full_name}", package="sketch", syntax="proto2")
    for descriptor in _reachable(request):
        sketch = file.message_type.add(name=_name(descriptor))
        holder = descriptor.full_name in HOLDERS
        for field in () if holder else ways(descriptor):
            target = f".sketch.{_name(field.message_type)}"
            sketch.field.add(
                name=field.name, number=field.number, type=_FIELD.TYPE_MESSAGE, type_name=target, label=_OPTIONAL
            )
        for name, kind in (_OBJECT if holder else _HEAD).items():
            if field := descriptor.fields_by_name.get(name):
                sketch.field.add(name=name, number=field.number, type=kind, label=_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"sketch.{_name(request)}"))


_OPTIONAL = _FIELD.LABEL_OPTIONAL
_OBJECT = dict.fromkeys(OBJECTS, _FIELD.TYPE_BYTES)


def _name(descriptor: Any) -> str:
    return str(descriptor.full_name.replace(".", "_"))


def _reachable(descriptor: Any) -> Iterator[Any]:
    """A message type and all on the ways from it to a vector."""
    seen, ahead = {descriptor.full_name}, [descriptor]
    while ahead:
        here = ahead.pop()
        yield here
        targets: list[Any] = [] if here.full_name in HOLDERS else [field.message_type for field in ways(here)]
        for target in targets:
            if target.full_name not in seen:
                seen.add(target.full_name)
                ahead.append(target)
