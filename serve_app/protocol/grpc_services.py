"""The methods of Qdrant's gRPC services and of gRPC's own health service, read off their descriptors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
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
    health_pb2_grpc.add_HealthServicer_to_server,
)


def add_to_server(servicer: Any, server: Any) -> None:
    """Have a gRPC server accept all of these services; the Serve config file names this (`grpc_servicer_functions`)."""
    for add in _ADDED:
        add(servicer, server)


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
