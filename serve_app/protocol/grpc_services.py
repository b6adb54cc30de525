"""The methods of Qdrant's gRPC services and of gRPC's own health service, read off their descriptors; reflection."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from serve_app.protocol.messages import RawMessage
from serve_app.protocol.qdrant_messages import grpc as qdrant

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Qdrant has both, whose messages are the same on the wire. (Ray Serve has the second, unless its option is off.)"""


def add_to_server(servicer: Any, server: Any) -> None:
    """Have a gRPC server accept all of these services; the Serve config file names this (`grpc_servicer_functions`)."""
    names = sorted({method.containing_service.full_name for method in _METHODS.values()})
    for service in names:
        methods = {full: method for full, method in _METHODS.items() if method.containing_service.full_name == service}
        _add_handlers(server, service, {m.name: _unary(servicer, full, m) for full, m in methods.items()})
    handler = grpc.stream_stream_rpc_method_handler(
        ReflectionServicer([*names, *_REFLECTIONS]).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in _REFLECTIONS:
        # Ray Serve has this answered where it comes in, and not by a replica.
        getattr(server, "add_passthrough_service", lambda _: None)(name)
        _add_handlers(server, name, {"ServerReflectionInfo": handler})


def _add_handlers(server: Any, service: str, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _unary(servicer: Any, full_name: str, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    """How a method is called. Its messages are not decoded here, as few have to be.

    They say of which method they are: Ray Serve keeps only the last part of its name, which several have (Points/Get,
    Collections/Get).
    """
    return grpc.unary_unary_rpc_method_handler(
        getattr(servicer, method.name),
        request_deserializer=partial(RawMessage, full_name),
        response_serializer=RawMessage.SerializeToString,
    )


def _all_methods() -> Iterator[MethodDescriptor]:
    """All but the one that streams, Health/Watch, which Qdrant does not have either."""
    parts: Any = qdrant
    ours = (parts.points_service_pb2, parts.collections_service_pb2, parts.snapshots_service_pb2, parts.qdrant_pb2)
    for module in (*ours, health_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from (method for method in service.methods if not method.server_streaming)


_METHODS = {f"/{m.containing_service.full_name}/{m.name}": m for m in _all_methods()}

NAMES = frozenset(method.name for method in _METHODS.values())
"""The last parts of all methods' names."""


def is_method(method: str) -> bool:
    """Whether Qdrant has a method of this full name."""
    return method in _METHODS


@cache
def request_class(method: str) -> type[Message]:
    """The class of a method's request."""
    return message_factory.GetMessageClass(_METHODS[method].input_type)


@cache
def response_class(method: str) -> type[Message]:
    """The class of a method's response."""
    return message_factory.GetMessageClass(_METHODS[method].output_type)
