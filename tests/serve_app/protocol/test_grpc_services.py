"""Qdrant's gRPC methods, and their messages on the way between processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
import yaml
from google.protobuf import message_factory
from qdrant_client import grpc as q

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
