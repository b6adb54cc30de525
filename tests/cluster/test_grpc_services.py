"""What tools see of the gRPC API: reflection, and methods that are not there."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from tests.support.running import RunningService

pytestmark = pytest.mark.cluster
PUBLIC = {"qdrant.Collections", "qdrant.Points", "qdrant.Snapshots", "qdrant.Qdrant", "grpc.health.v1.Health"}


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_qdrants_services(service: RunningService, version: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="qdrant.Points"),
        ]
        listed, file = ask(iter(requests), timeout=30)
    assert {one.name for one in listed.list_services_response.service} >= PUBLIC
    assert file.file_descriptor_response.file_descriptor_proto


def test_what_is_not_there_is_unimplemented_without_a_word_of_how(service: RunningService) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as refused:
            list(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30))
        unknown = channel.unary_unary("/qdrant.Points/None", request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as absent:
            unknown(b"", timeout=30)
    for error in (refused.value, absent.value):
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]
        assert "ray" not in error.details().lower()  # type: ignore[attr-defined]
