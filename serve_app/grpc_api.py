"""The gRPC door: every method of Qdrant's services, handed to the pipeline."""

from __future__ import annotations

import logging
from typing import Any

import grpc
from google.protobuf.message import Message

from deployments.errors import InferenceError, TemporaryError
from serve_app.exchange import Call, Metadata
from serve_app.http_api import origin
from serve_app.methods import full_name, response_class
from serve_app.pipeline import Pipeline
from serve_app.statuses import GRPC, retry_after
from serve_app.upstream import UpstreamStatus

log = logging.getLogger("ray.serve")

_OURS = frozenset({"user-agent", "content-type", "te", "application", "request_id", "multiplexed_model_id"})
"""Metadata that belongs to the transport or to Ray Serve, and ends here."""


class GrpcApi:
    """Qdrant's gRPC API."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def answer(self, name: str, message: Message, context: Any) -> Message:
        """Answer the method whose name ends in `name`; a failure is a status in `context` and an empty message."""
        method = full_name(name, message)
        call = Call(method, _passed_on(context.invocation_metadata()))
        try:
            reply = await self._pipeline.grpc(message, call)
        except UpstreamStatus as status:
            _fail(context, status.code, status.details, status.metadata)
        except InferenceError as error:
            wait = [("retry-after", retry_after(error))] if isinstance(error, TemporaryError) else []
            _fail(context, GRPC[error.kind], error.message, wait)
        except Exception as error:  # noqa: BLE001  the door is the last place to answer
            # The error's own text may hold what the caller sent, so only its type is written down.
            log.error("a call failed with %s", origin(error))  # noqa: TRY400
            _fail(context, grpc.StatusCode.INTERNAL, "an internal error; the server's log has its origin", [])
        else:
            # Ray Serve has no way to set initial metadata.
            context.set_trailing_metadata(_passed_on(reply.metadata))
            return reply.message
        return response_class(method)()


def _fail(context: Any, code: grpc.StatusCode, details: str, metadata: Metadata) -> None:
    context.set_code(code)
    context.set_details(details)
    context.set_trailing_metadata(_passed_on(metadata))


def _passed_on(metadata: Metadata) -> Metadata:
    return [(key, value) for key, value in metadata if key not in _OURS and not key.startswith(("grpc-", ":"))]
