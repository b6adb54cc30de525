"""Qdrant's gRPC API: every method of Qdrant's services, handed to the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import grpc

from deployments.errors import InferenceError, InternalError
from serve_app.api.rest import origin
from serve_app.auth import permissions
from serve_app.auth.access import CARRIERS, OPEN, Access, Authenticator, credential_of_call
from serve_app.auth.permissions import Permission
from serve_app.front.haproxy import HEADER
from serve_app.inference import provider_keys
from serve_app.inference.message_heads import Head, head, parsed
from serve_app.observability.record import Record, Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol import deadlines
from serve_app.protocol.error_responses import GRPC, headers_of
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.messages import NO_KEYS, Call, Keys, Metadata, RawMessage
from serve_app.protocol.offload import beside
from serve_app.upstream.base import UpstreamStatus

log = logging.getLogger("ray.serve")

_OURS = frozenset({"user-agent", "content-type", "te", "application", "request_id", "multiplexed_model_id", HEADER})
"""Metadata that belongs to the transport, to Ray Serve or to HAProxy, and ends here."""

_CARRIERS = frozenset(name.decode() for name in CARRIERS)
_GRPCS = "grpc-"
"""How names of metadata begin that are gRPC's own."""

_Named = Mapping[str, str | bytes]
"""Metadata by its names."""


class GrpcApi:
    """Qdrant's gRPC API."""

    def __init__(self, pipeline: Pipeline, authenticator: Authenticator = OPEN, watch: Watch | None = None) -> None:
        self._pipeline = pipeline
        self._settings = pipeline.embedder.settings
        self._authenticator = authenticator
        self._watch = watch or Watch()

    async def answer(self, message: RawMessage, context: Any) -> RawMessage:
        """Answer a call; a failure is a status in `context` and an empty message."""
        method, data = message
        metadata = context.invocation_metadata()
        named = dict(reversed(metadata))  # of several with one name the first
        answer = b""
        with self._watch.request("grpc", lambda: method, named.get) as record:
            record.answered("OK")
            try:
                known = await beside(len(data), partial(head, method, data))
                call = await self._admitted(method, data, known, metadata, named)
                reply = await self._pipeline.grpc(data, known, call)
            except UpstreamStatus as status:
                record.answered(status.code.name)
                _fail(context, status.code, status.details, status.metadata)
            except InferenceError as error:
                _refuse(context, record, error)
            except Exception as error:  # noqa: BLE001  this is the last place to answer
                # The error's own text may hold what the caller sent, so only its type is written down.
                log.error("a call failed with %s", origin(error))  # noqa: TRY400
                _refuse(context, record, InternalError("an internal error; the server's log has its origin"))
            else:
                # Ray Serve has no way to set initial metadata.
                context.set_trailing_metadata(_passed_on(reply.metadata))
                answer = reply.message
        return RawMessage(method, answer)

    async def _admitted(self, method: str, message: bytes, known: Head, metadata: Metadata, named: _Named) -> Call:
        """The call as it goes on, if its credential allows it; keys for external providers are no metadata any more."""
        permission = permissions.of_method(method)
        access = self._authenticator.admit(credential_of_call(named), permission, known.collection)
        if access.everywhere is None and permission is Permission.READ:
            for other in await beside(len(message), partial(_other_collections, method, message)):
                access.check(permission, other)
        keys = _keys(named) if "-api-key" in " ".join(named) else NO_KEYS
        time = deadlines.from_now(known.timeout, self._settings.current.qdrant_timeout_s)
        passed_on = _for_qdrant(_passed_on(metadata), access, keys)
        return Call(method, passed_on, access.tenant, access.if_value_exists, time, keys)


def _keys(named: _Named) -> Keys:
    return provider_keys.of_headers([(name.encode(), v.encode()) for name, v in named.items() if isinstance(v, str)])


def _other_collections(method: str, message: bytes) -> Sequence[str]:
    return list(permissions.other_collections_of_message(parsed(request_class(method), message)))


def _for_qdrant(metadata: Metadata, access: Access, keys: Keys) -> Metadata:
    """The metadata with the key that Qdrant is shown in place of the caller's credential, if there is one."""
    if keys:
        metadata = [pair for pair in metadata if pair[0].lower() not in keys]
    if access.upstream_key is None:
        return metadata
    return [*(pair for pair in metadata if pair[0] not in _CARRIERS), ("api-key", access.upstream_key.decode())]


def _refuse(context: Any, record: Record, error: InferenceError) -> None:
    record.failed(error)
    record.answered(GRPC[error.kind].name)
    _fail(context, GRPC[error.kind], error.message, headers_of(error))


def _fail(context: Any, code: grpc.StatusCode, details: str, metadata: Metadata) -> None:
    context.set_code(code)
    context.set_details(details)
    context.set_trailing_metadata(_passed_on(metadata))


def _passed_on(metadata: Metadata) -> Metadata:
    return [pair for pair in metadata if pair[0] not in _OURS and pair[0][:1] != ":" and pair[0][:5] != _GRPCS]
