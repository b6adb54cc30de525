"""What a caller may do."""

from __future__ import annotations

from typing import Literal

from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import REFUSED
from serve_app.auth.access import Admins


class Access(Shape):
    """What a caller needs, and what this one may do."""

    key_needed: bool
    """whether the service refuses calls without a credential"""
    known: bool
    """whether this call may do anything: the service is open, or its credential is right"""
    access: Literal["m", "r", "collections"] | None
    """everything, reading, or some collections (a token)"""
    tenant: str | None
    may_change_settings: bool
    admin: Admins
    """who may change settings: everybody (no key is set at all), the admin key, or nobody (QDRANT_API_KEY without
    QDRANT_INFERENCE_ADMIN_KEY)"""
    grpc_port: int | None
    """where callers reach the gRPC API on this host; null if QDRANT_INFERENCE_GRPC_PORT is not set"""


class AccessAnswer(Answered):
    """What a caller may do."""

    result: Access


OPERATIONS: Operations = {
    ("get", "/inference/access"): Operation(
        tag="console",
        summary="What a caller needs, and what the one who asks may do",
        description="Needs no credential; a wrong one is 401, as everywhere.",
        needs_credential=False,
        answer=AccessAnswer,
        means="Whether the service asks for keys.",
        example=answered(
            {
                "key_needed": True,
                "known": True,
                "access": "m",
                "tenant": None,
                "may_change_settings": True,
                "admin": "key",
                "grpc_port": 6334,
            },
            0.0002,
        ),
        refusals=REFUSED,
    )
}
