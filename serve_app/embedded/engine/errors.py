"""How the store refuses a request: one exception with gRPC's status code, from which REST's follows."""

from __future__ import annotations

import logging
import re
import traceback
from http import HTTPStatus

from grpc import StatusCode
from pydantic import ValidationError

log = logging.getLogger(__name__)

HTTP = {
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class GrpcError(Exception):
    """A request that is refused, with gRPC's status code for it; `HTTP` has REST's."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def wrong_input(message: str) -> GrpcError:
    """The request has to change."""
    return GrpcError(StatusCode.INVALID_ARGUMENT, f"Wrong input: {message}")


def not_found(message: str) -> GrpcError:
    """What the request names is not there."""
    return GrpcError(StatusCode.NOT_FOUND, f"Not found: {message}")


def not_supported(what: str) -> GrpcError:
    """Qdrant has this, the embedded store does not."""
    message = f"the embedded store does not have {what}; this needs a Qdrant server (set QDRANT_URL)"
    return GrpcError(StatusCode.UNIMPLEMENTED, message)


_LOCAL_MODE_SAYS = (
    (r"Collection (.+) not found", StatusCode.NOT_FOUND, r"Not found: Collection `\1` doesn't exist!"),
    (r"Collection (.+) already exists", StatusCode.ALREADY_EXISTS, r"Wrong input: Collection `\1` already exists!"),
    (r"Alias (.+) already exists", StatusCode.ALREADY_EXISTS, r"Wrong input: Alias `\1` already exists!"),
    (r"Alias (.+) does not exist", StatusCode.NOT_FOUND, r"Not found: Alias \1 does not exists!"),
    (r"Point (.+) is not found in the collection", StatusCode.NOT_FOUND, r"Not found: No point with id \1 found"),
    (
        r"invalid (\w+) model: .*",
        StatusCode.INVALID_ARGUMENT,
        r"Wrong input: the message has a \1 without a known variant",
    ),
    (r"(?:Wrong input: )?(.+)", StatusCode.INVALID_ARGUMENT, r"Wrong input: \1"),
)
"""Local mode's texts as patterns, with the status and the text that Qdrant has for the same."""

_UNFIT_FOR_THE_REQUEST = (TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""With these, local mode and the conversions fall over input that they did not expect."""


def refusal(error: Exception) -> GrpcError:
    """What the caller is told when `error` has ended a request."""
    if isinstance(error, GrpcError):
        return error
    if isinstance(error, ValidationError):
        return GrpcError(StatusCode.INVALID_ARGUMENT, f"Format error in the request: {_explain(error)}")
    if isinstance(error, NotImplementedError):
        return not_supported("this kind of request")
    if isinstance(error, ValueError):
        return _translated(str(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.warning("a request ended with %s in %s, line %s", type(error).__name__, last.filename, last.lineno)
    if isinstance(error, _UNFIT_FOR_THE_REQUEST):
        return wrong_input(f"the embedded store cannot carry out this request ({type(error).__name__})")
    return GrpcError(StatusCode.INTERNAL, f"Service internal error: {type(error).__name__} in the embedded store")


def _translated(text: str) -> GrpcError:
    for pattern, code, template in _LOCAL_MODE_SAYS:
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match:
            return GrpcError(code, match.expand(template))
    return wrong_input("the embedded store cannot carry out this request")


def _explain(error: ValidationError) -> str:
    """The two errors that lie deepest, for these belong to the variant of the schema that fits best."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    deepest = sorted(details, key=lambda detail: len(detail["loc"]), reverse=True)[:2]
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'top level'}: {detail['msg']}" for detail in deepest)
