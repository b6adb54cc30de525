"""The methods of Qdrant's gRPC services and of gRPC's own health service, read off their descriptors; reflection."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer
from qdrant_client.grpc import (
    collections_pb2,
    collections_service_pb2,
    collections_service_pb2_grpc,
    json_with_int_pb2,
    points_pb2,
    points_service_pb2,
    points_service_pb2_grpc,
    qdrant_common_pb2,
    qdrant_pb2,
    qdrant_pb2_grpc,
    snapshots_service_pb2,
    snapshots_service_pb2_grpc,
)

for _module in (
    collections_pb2,
    json_with_int_pb2,
    points_pb2,
    qdrant_common_pb2,
    qdrant_pb2,
    snapshots_service_pb2,
):
    # The classes in it say that they are of a module without its package, where pickle looks for them: Ray Serve's own
    # proxy, which takes over while there is no ingress replica, sends messages as pickles.
    sys.modules.setdefault(_module.__name__.rpartition(".")[2], _module)


_ADDED: Sequence[Callable[[Any, Any], None]] = (
    points_service_pb2_grpc.add_PointsServicer_to_server,
    collections_service_pb2_grpc.add_CollectionsServicer_to_server,
    snapshots_service_pb2_grpc.add_SnapshotsServicer_to_server,
    qdrant_pb2_grpc.add_QdrantServicer_to_server,
)

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Qdrant has both, whose messages are the same on the wire. (Ray Serve has the second, unless its option is off.)"""


def add_to_server(servicer: Any, server: Any) -> None:
    """Have a gRPC server accept all of these services; the Serve config file names this (`grpc_servicer_functions`)."""
    for add in _ADDED:
        add(servicer, server)
    _add_handlers(server, _HEALTH, {m.name: _unary(servicer, m) for m in _all_methods() if _is_of(m, _HEALTH)})
    names = sorted({method.containing_service.full_name for method in _all_methods()})
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


def _unary(servicer: Any, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_unary_rpc_method_handler(
        getattr(servicer, method.name),
        request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
        response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
    )


def _is_of(method: MethodDescriptor, service: str) -> bool:
    return bool(method.containing_service.full_name == service)


def _all_methods() -> Iterator[MethodDescriptor]:
    """All but the one that streams, Health/Watch, which Qdrant does not have either."""
    for module in (points_service_pb2, collections_service_pb2, snapshots_service_pb2, qdrant_pb2, health_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from (method for method in service.methods if not method.server_streaming)


_METHODS = {f"/{m.containing_service.full_name}/{m.name}": m for m in _all_methods()}
_BY_NAME_AND_REQUEST = {(m.name, m.input_type.full_name): full_name for full_name, m in _METHODS.items()}

NAMES = frozenset(name for name, _ in _BY_NAME_AND_REQUEST)
"""The last parts of all methods' names."""


def full_name(name: str, request: Message) -> str:
    """The full name of a method, of whose name Ray Serve keeps only the last part.

    The services share such parts (Points/Get, Collections/Get), but no two of those take the same message.
    """
    return _BY_NAME_AND_REQUEST[name, request.DESCRIPTOR.full_name]


def is_method(method: str) -> bool:
    """Whether Qdrant has a method of this full name."""
    return method in _METHODS


def request_class(method: str) -> type[Message]:
    """The class of a method's request."""
    return message_factory.GetMessageClass(_METHODS[method].input_type)


def response_class(method: str) -> type[Message]:
    """The class of a method's response."""
    return message_factory.GetMessageClass(_METHODS[method].output_type)
