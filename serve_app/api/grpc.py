"""Qdrant's gRPC API: every method of Qdrant's services, handed to the pipeline."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import grpc
from google.protobuf.message import Message

from deployments.errors import InferenceError, InternalError
from serve_app.api.rest import origin
from serve_app.auth import permissions
from serve_app.auth.access import CARRIERS, OPEN, Access, Authenticator, credential
from serve_app.auth.permissions import Permission
from serve_app.front.haproxy import HEADER
from serve_app.inference import provider_keys
from serve_app.observability.record import Record, Watch
from serve_app.pipeline import Pipeline
from serve_app.protocol.error_responses import GRPC, headers_of
from serve_app.protocol.grpc_services import full_name, response_class
from serve_app.protocol.messages import Call, Metadata
from serve_app.upstream.base import UpstreamStatus

log = logging.getLogger("ray.serve")

_OURS = frozenset({"user-agent", "content-type", "te", "application", "request_id", "multiplexed_model_id", HEADER})
"""Metadata that belongs to the transport, to Ray Serve or to HAProxy, and ends here."""


class GrpcApi:
    """Qdrant's gRPC API."""

    def __init__(self, pipeline: Pipeline, authenticator: Authenticator = OPEN, watch: Watch | None = None) -> None:
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._watch = watch or Watch()

    async def answer(self, name: str, message: Message, context: Any) -> Message:
        """Answer the method whose name ends in `name`; a failure is a status in `context` and an empty message."""
        method = full_name(name, message)
        metadata = context.invocation_metadata()
        with self._watch.request("grpc", lambda: method, lambda key: dict(metadata).get(key)) as record:
            record.answered(grpc.StatusCode.OK.name)
            return await self._answered(_call(method, metadata), message, context, record)

    async def _answered(self, call: Call, message: Message, context: Any, record: Record) -> Message:
        try:
            reply = await self._pipeline.grpc(message, self._admitted(message, call))
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
        return response_class(call.method)()

    def _admitted(self, message: Any, call: Call) -> Call:
        """The call as it goes on, if its credential allows it."""
        permission = permissions.of_method(call.method)
        headers = [(key.encode(), value.encode()) for key, value in call.metadata if isinstance(value, str)]
        access = self._authenticator.admit(credential(headers), permission, getattr(message, "collection_name", ""))
        if access.everywhere is None and permission is Permission.READ:
            for other in permissions.other_collections_of_message(message):
                access.check(permission, other)
        metadata = _for_qdrant(call.metadata, access)
        return replace(call, metadata=metadata, tenant=access.tenant, unchecked=access.if_value_exists)


def _call(method: str, metadata: Metadata) -> Call:
    """A call as it came in; keys for external providers are no metadata any more."""
    pairs = [(key.encode(), value.encode()) for key, value in metadata if isinstance(value, str)]
    keys = provider_keys.of_headers(pairs)
    return Call(method, [pair for pair in _passed_on(metadata) if pair[0].lower() not in keys], keys=keys)


def _for_qdrant(metadata: Metadata, access: Access) -> Metadata:
    """The metadata with the key that Qdrant is shown in place of the caller's credential, if there is one."""
    if access.upstream_key is None:
        return metadata
    return [*(pair for pair in metadata if pair[0].encode() not in CARRIERS), ("api-key", access.upstream_key.decode())]


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
