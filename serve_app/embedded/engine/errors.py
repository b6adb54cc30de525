"""How the store refuses a request: one exception with gRPC's status code, from which REST's follows."""

from __future__ import annotations

import logging
import traceback
from http import HTTPStatus

from grpc import StatusCode

from deployments.errors import shortened

log = logging.getLogger(__name__)

HTTP = {
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    StatusCode.DEADLINE_EXCEEDED: HTTPStatus.REQUEST_TIMEOUT,
    StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class GrpcError(Exception):
    """A request that is refused, with gRPC's status code for it; `status` is REST's, by default that of `HTTP`."""

    def __init__(self, code: StatusCode, message: str, status: HTTPStatus | None = None) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status or HTTP[code]


class TakesLong(Exception):
    """A request takes seconds, and came in a thread that others wait for."""


def wrong_input(message: str) -> GrpcError:
    """The request has to change."""
    return GrpcError(StatusCode.INVALID_ARGUMENT, f"Wrong input: {message}")


def bad_request(message: str) -> GrpcError:
    """The parts of the request do not fit together."""
    return GrpcError(StatusCode.INVALID_ARGUMENT, f"Bad request: {message}")


def malformed(where: str, what: str) -> GrpcError:
    """The request is not in Qdrant's schema: `where` is the path of the field that is not."""
    return GrpcError(StatusCode.INVALID_ARGUMENT, f"Format error in JSON body: {where or 'top level'}: {what}")


def invalid(where: str, what: str) -> GrpcError:
    """A value is in the schema and out of its bounds."""
    message = f"Validation error in JSON body: [{where}: {what}]"
    return GrpcError(StatusCode.INVALID_ARGUMENT, message, HTTPStatus.UNPROCESSABLE_ENTITY)


def not_found(message: str) -> GrpcError:
    """What the request names is not there."""
    return GrpcError(StatusCode.NOT_FOUND, f"Not found: {message}")


def no_collection(name: str) -> GrpcError:
    """There is neither a collection nor an alias of this name."""
    return not_found(f"Collection `{name}` doesn't exist!")


def no_point(point_id: object) -> GrpcError:
    """There is no point with this id."""
    return not_found(f"No point with id {point_id} found")


def no_vector_name(name: str) -> GrpcError:
    """The collection has no vectors under this name."""
    return wrong_input(f"Not existing vector name error: {name}")


def not_supported(what: str) -> GrpcError:
    """Qdrant has this, the embedded store does not."""
    message = f"the embedded store does not have {what}; this needs a Qdrant server (set QDRANT_URL)"
    return GrpcError(StatusCode.UNIMPLEMENTED, message)


def refusal(error: Exception) -> GrpcError:
    """What the caller is told when `error` has ended a request."""
    if isinstance(error, GrpcError):
        return GrpcError(error.code, shortened(error.message), error.status)
    if isinstance(error, RecursionError):
        return wrong_input("the request is nested too deeply")
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.warning("a request ended with %s in %s, line %s: %s", type(error).__name__, last.filename, last.lineno, error)
    return GrpcError(StatusCode.INTERNAL, f"Service internal error: {type(error).__name__} in the embedded store")
