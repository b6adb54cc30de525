"""Qdrant's gRPC methods, and their messages on the way between processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
import yaml
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from qdrant_client import grpc as q
from ray.serve._private.grpc_util import gRPCGenericServer

from deployments.catalogue.catalogue import HOME
from serve_app.protocol import grpc_services

CONFIGS = sorted([*HOME.glob("configs/serve-*.yaml"), *HOME.glob("k8s/overlays/*/serve.yaml")])
MESSAGES = {
    message.full_name: message
    for method in grpc_services._METHODS.values()
    for message in (method.input_type, method.output_type)
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_message_travels_between_processes(message: Any) -> None:
    sent = message_factory.GetMessageClass(message)()
    assert pickle.loads(pickle.dumps(sent)) == sent


@pytest.mark.slow
def test_a_process_that_knows_the_services_reads_what_another_has_pickled() -> None:
    sent = q.UpsertPoints(collection_name="a", points=[q.PointStruct(id=q.PointId(num=7), payload={"k": q.Value()})])
    code = "import serve_app.protocol.grpc_services, pickle, sys; print(pickle.load(sys.stdin.buffer).points[0].id.num)"
    run = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(sent), capture_output=True, check=True)
    assert run.stdout.strip() == b"7"


def test_one_function_adds_every_service() -> None:
    added: dict[str, Any] = {}
    server = Mock()
    server.add_generic_rpc_handlers = lambda handlers: [added.update(h._method_handlers) for h in handlers]
    grpc_services.add_to_server(Mock(), server)
    assert set(grpc_services._METHODS) <= set(added)
    assert all(isinstance(handler, grpc.RpcMethodHandler) for handler in added.values())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.relative_to(HOME).as_posix())
def test_every_config_names_that_function(config: Path) -> None:
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content = content.get("spec", {}).get("serveConfigV2", content)
    assert content["grpc_options"]["grpc_servicer_functions"] == ["serve_app.protocol.grpc_services.add_to_server"]


class Answering:
    """Answers every method with an empty message of its kind."""

    def __getattr__(self, name: str) -> Any:
        async def answer(message: Any, _context: Any) -> Any:
            return grpc_services.response_class(grpc_services.full_name(name, message))()

        return answer


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    grpc_services.add_to_server(Answering(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_tells_the_services_and_their_methods(channel: grpc.aio.Channel, version: str) -> None:
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services="*"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="qdrant.Points"),
    ]
    listed, file = [answer async for answer in ask(asked)]
    public = {"qdrant.Collections", "qdrant.Points", "qdrant.Snapshots", "qdrant.Qdrant", "grpc.health.v1.Health"}
    assert public < {service.name for service in listed.list_services_response.service}
    assert len(file.file_descriptor_response.file_descriptor_proto) > 1


async def test_health_has_what_qdrants_has_and_no_stream(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    await health.Check(health_pb2.HealthCheckRequest())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Watch(health_pb2.HealthCheckRequest()).read()
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == "Method not found!"


async def test_ray_serve_answers_reflection_itself() -> None:
    server = gRPCGenericServer(lambda **_: None)
    grpc_services.add_to_server(Mock(), server)
    assert server._passthrough_service_names == {
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
