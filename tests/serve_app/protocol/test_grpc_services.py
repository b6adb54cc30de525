"""Qdrant's gRPC methods, and their messages on the way between processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from ray.serve._private.grpc_util import gRPCGenericServer

from deployments.catalogue.catalogue import HOME
from serve_app.protocol import grpc_services
from serve_app.protocol.messages import RawMessage

CONFIGS = sorted([*HOME.glob("configs/serve-*.yaml"), *HOME.glob("k8s/overlays/*/serve.yaml")])


async def test_messages_are_not_decoded_and_say_of_which_method_they_are(channel: grpc.aio.Channel) -> None:
    Answering.seen.clear()
    for service in ("Points", "Collections"):
        assert await channel.unary_unary(f"/qdrant.{service}/Get")(b"no message") == b"answered"
    assert Answering.seen == [RawMessage(f"/qdrant.{name}/Get", b"no message") for name in ("Points", "Collections")]


@pytest.mark.slow
def test_a_process_that_knows_the_services_reads_what_another_has_pickled() -> None:
    """As Ray Serve's own proxy passes messages on."""
    sent = pickle.dumps(RawMessage("/qdrant.Points/Get", b"1234567"))
    code = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer).SerializeToString()))"
    run = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
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
    """Answers every method; health as one who is well."""

    seen: ClassVar[list[RawMessage]] = []

    def __getattr__(self, name: str) -> Any:
        async def answer(message: RawMessage, _context: Any) -> RawMessage:
            self.seen.append(message)
            return RawMessage(message.method, b"" if "Health" in message.method else b"answered")

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
