"""Qdrant's messages are loaded without its client, and are the client's own all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTERWARDS = """
import sys
from serve_app.protocol.qdrant_messages import grpc
assert "qdrant_client" not in sys.modules
from qdrant_client import QdrantClient, grpc as of_the_client
assert of_the_client is grpc
assert of_the_client.PointStruct is grpc.PointStruct
"""
BEFORE = """
from qdrant_client import grpc as of_the_client
from serve_app.protocol.qdrant_messages import grpc
assert of_the_client is grpc
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [AFTERWARDS, BEFORE], ids=["before the client", "after it"])
def test_they_are_the_clients_whoever_comes_first(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_neither_the_gateway_nor_the_store_imports_the_client() -> None:
    modules = "serve_app.ingress, serve_app.embedded.deployment"
    code = f"import {modules}, sys; assert 'qdrant_client.http' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
