"""The way to Qdrant, wherever it is."""

from __future__ import annotations

from typing import Protocol

import grpc

from deployments.errors import UpstreamUnavailable
from serve_app.protocol.messages import Call, Metadata, Reply, Request, Response


class NotReached(UpstreamUnavailable):
    """No connection came about: Qdrant has seen nothing of the request."""


class BrokenOffError(Exception):
    """A connection ended before the answer did; the request may have been carried out."""


class UpstreamStatus(Exception):
    """A gRPC status with which Qdrant answered, to be passed on as it is."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Metadata = ()) -> None:
        super().__init__(code, details, metadata)
        self.code = code
        self.details = details
        self.metadata = metadata


class Upstream(Protocol):
    """Qdrant, wherever it is."""

    async def rest(self, request: Request) -> Response:
        """Forward an HTTP request as it is."""

    async def grpc(self, message: bytes, call: Call) -> Reply:
        """Forward a gRPC call as it is.

        Raises:
            UpstreamStatus: Qdrant answered with a status instead of a message.
        """

    async def close(self) -> None:
        """End all connections."""
