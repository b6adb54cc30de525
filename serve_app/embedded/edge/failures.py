"""The engine's errors, which are texts, as refusals."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from grpc import StatusCode

from serve_app.embedded.engine.errors import GrpcError

log = logging.getLogger(__name__)

_THE_ENGINE_SAYS = (
    (r"No point with id (.+)", StatusCode.NOT_FOUND, r"Not found: No point with id \1 found"),
    (r"Service runtime error: (config is incompatible .+)", StatusCode.INVALID_ARGUMENT, r"Bad request: \1"),
    (r"Service runtime error: (.+)", StatusCode.INTERNAL, r"Service internal error: \1"),
    (r"(Out of (?:memory|disk).*|.*[Nn]o space left.*)", StatusCode.INTERNAL, r"Service internal error: \1"),
    (r"(?:Validation failed|Validation error): (.+)", StatusCode.INVALID_ARGUMENT, r"Bad request: \1"),
    (r"(No range index.+|No appropriate index.+)", StatusCode.INVALID_ARGUMENT, r"Bad request: \1"),
    (r"(.+)", StatusCode.INVALID_ARGUMENT, r"Wrong input: \1"),
)
"""The engine's texts as patterns, with the status and the text that a server has for the same."""


@contextmanager
def translated() -> Iterator[None]:
    """Around a call of the engine: what it raises becomes a refusal."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # the engine raises nothing more specific
            raise
        raise refused(str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what the engine did not expect; the class is nowhere to import
            raise
        log.warning("the engine panicked: %s", error)
        raise GrpcError(StatusCode.INTERNAL, "Service internal error: the engine failed") from error


def refused(text: str) -> GrpcError:
    """The refusal for an error's text."""
    for pattern, code, template in _THE_ENGINE_SAYS:
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match:
            return GrpcError(code, match.expand(template))
    return GrpcError(StatusCode.INTERNAL, "Service internal error in the embedded store")
