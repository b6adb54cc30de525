"""Who may call over gRPC, asked before a message is read: one may have 256 MB.

What a method does to which collection is asked again when its message is there (`api.grpc`).
"""

from __future__ import annotations

from typing import Any

from deployments.errors import AccessError
from serve_app.auth import permissions
from serve_app.auth.access import Authenticator, credential_of_call
from serve_app.auth.permissions import Permission
from serve_app.config import environment
from serve_app.front import guard
from serve_app.front.guarded_calls import Metadata, Refusal
from serve_app.observability.record import Watch
from serve_app.protocol.error_responses import GRPC


class GrpcCallers:
    """Refuses who shows no credential that is known here, unless a method needs none."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._watch = Watch()

    def refusal(self, method: str, metadata: Metadata) -> Refusal | None:
        """Why a call is not answered; None if it may be."""
        if self._authenticator.is_open or self.is_open(method):
            return None
        try:
            self._authenticator.identify(credential_of_call(dict(reversed(metadata))))  # of several the first
        except AccessError as error:
            return self._counted(error, method)
        return None

    def _counted(self, error: AccessError, method: str) -> Refusal:
        code = GRPC[error.kind].name
        with self._watch.request("grpc", lambda: method, lambda _: None) as record:
            record.failed(error)
            record.answered(code)
        return code, error.message

    def is_open(self, method: str) -> bool:
        """Whether a method needs no credential."""
        return permissions.of_method(method) is Permission.NOTHING


def middlewares() -> list[Any]:
    """What Ray Serve calls in each process that opens ports for callers (see `front.guard`)."""
    return guard.middlewares(GrpcCallers(Authenticator(environment.read())))
