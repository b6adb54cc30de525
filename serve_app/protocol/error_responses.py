"""From what went wrong to the status that each protocol has for it."""

from __future__ import annotations

import math
from http import HTTPStatus

import grpc
import orjson

from deployments.errors import InferenceError, Kind, QuotaUsedUp, TemporaryError
from serve_app.protocol.messages import Response, json_response

HTTP = {
    Kind.BAD_REQUEST: HTTPStatus.BAD_REQUEST,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.SWITCHED_OFF: HTTPStatus.BAD_REQUEST,
    Kind.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.DEADLINE: HTTPStatus.GATEWAY_TIMEOUT,
    Kind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

GRPC = {
    Kind.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNSUPPORTED: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.CONFLICT: grpc.StatusCode.ALREADY_EXISTS,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.SWITCHED_OFF: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}


def http_error(error: InferenceError) -> Response:
    """An error in Qdrant's own shape."""
    headers = [(name.encode(), value.encode()) for name, value in headers_of(error)]
    body = {"status": {"error": error.message}, "time": 0.0, "result": None}
    return json_response(HTTP[error.kind], orjson.dumps(body), headers)


def headers_of(error: InferenceError) -> list[tuple[str, str]]:
    """What an error says in headers, or in gRPC's metadata: when to try again, and what is left of a quota."""
    headers = []
    if isinstance(error, TemporaryError):
        headers.append(("retry-after", retry_after(error)))
    if isinstance(error, QuotaUsedUp):
        headers += quota_headers(error.limit, 0, error.retry_after)
    return headers


def quota_headers(limit: int, left: int, reset_s: float) -> list[tuple[str, str]]:
    """What is left of a quota, by the names that OpenAI's API has for it."""
    return [
        ("x-ratelimit-limit-tokens", str(limit)),
        ("x-ratelimit-remaining-tokens", str(left)),
        ("x-ratelimit-reset-tokens", f"{math.ceil(reset_s)}s"),
    ]


def retry_after(error: TemporaryError) -> str:
    """Whole seconds, as the Retry-After header has them."""
    return str(max(1, math.ceil(error.retry_after)))
