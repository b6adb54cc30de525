"""Qdrant's gRPC API: every method of Qdrant's services, handed to the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc

from deployments.errors import InferenceError, InternalError
from serve_app.api.rest import origin
from serve_app.auth import permissions
from serve_app.auth.access import CARRIERS, OPEN, Access, Authenticator, credential
from serve_app.auth.permissions import Permission
from serve_app.front.haproxy import HEADER
from serve_app.inference import provider_keys
from serve_app.inference.message_heads import Head, head, parsed
from serve_app.observability.record import Record, Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol.error_responses import GRPC, headers_of
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.messages import Call, Metadata, RawMessage
from serve_app.protocol.offload import beside
from serve_app.upstream.base import UpstreamStatus

log = logging.getLogger("ray.serve")

_OURS = frozenset({"user-agent", "content-type", "te", "application", "request_id", "multiplexed_model_id", HEADER})
"""Metadata that belongs to the transport, to Ray Serve or to HAProxy, and ends here."""

_CARRIERS = frozenset(name.decode() for name in CARRIERS)


class GrpcApi:
    """Qdrant's gRPC API."""

    def __init__(self, pipeline: Pipeline, authenticator: Authenticator = OPEN, watch: Watch | None = None) -> None:
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._watch = watch or Watch()

    async def answer(self, message: RawMessage, context: Any) -> RawMessage:
        """Answer a call; a failure is a status in `context` and an empty message."""
        metadata = context.invocation_metadata()
        with self._watch.request("grpc", lambda: message.method, lambda key: dict(metadata).get(key)) as record:
            record.answered("OK")
            call = _call(message.method, metadata)
            return RawMessage(message.method, await self._answered(call, message.data, context, record))

    async def _answered(self, call: Call, message: bytes, context: Any, record: Record) -> bytes:
        try:
            known = await beside(len(message), partial(head, call.method, message))
            reply = await self._pipeline.grpc(message, known, await self._admitted(message, known, call))
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
            return reply.message
        return b""

    async def _admitted(self, message: bytes, known: Head, call: Call) -> Call:
        """The call as it goes on, if its credential allows it."""
        permission = permissions.of_method(call.method)
        carried = [(key, value) for key, value in call.metadata if key in _CARRIERS]
        shown = [(key.encode(), value.encode()) for key, value in carried if isinstance(value, str)]
        access = self._authenticator.admit(credential(shown), permission, known.collection)
        if access.everywhere is None and permission is Permission.READ:
            for other in await beside(len(message), partial(_other_collections, call.method, message)):
                access.check(permission, other)
        metadata = _for_qdrant(call.metadata, access)
        return call._replace(metadata=metadata, tenant=access.tenant, unchecked=access.if_value_exists)


def _other_collections(method: str, message: bytes) -> Sequence[str]:
    return list(permissions.other_collections_of_message(parsed(request_class(method), message)))


def _call(method: str, metadata: Metadata) -> Call:
    """A call as it came in; keys for external providers are no metadata any more."""
    passed_on = _passed_on(metadata)
    pairs = [(key.encode(), value.encode()) for key, value in passed_on if isinstance(value, str)]
    keys = provider_keys.of_headers(pairs)
    return Call(method, [pair for pair in passed_on if pair[0].lower() not in keys] if keys else passed_on, keys=keys)


def _for_qdrant(metadata: Metadata, access: Access) -> Metadata:
    """The metadata with the key that Qdrant is shown in place of the caller's credential, if there is one."""
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
    return [(key, value) for key, value in metadata if key not in _OURS and not key.startswith(("grpc-", ":"))]
