"""How a caller finds the embedded store's ports."""

from __future__ import annotations

from dataclasses import dataclass

KEY_HEADER = "store-key"
"""The header, or the gRPC metadata, that holds the key."""


@dataclass(frozen=True)
class Address:
    """Where a store answers, and the key that it wants to see."""

    host: str
    rest_port: int
    grpc_port: int
    key: str
