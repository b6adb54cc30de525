"""What the console's routes share: reading a question, and answering in Qdrant's shape."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

from deployments.catalogue.records import untrusted
from deployments.errors import MalformedRequest
from serve_app.config.settings import LiveSettings
from serve_app.protocol import json_text
from serve_app.protocol.compression import read_text
from serve_app.protocol.messages import Request, Response, json_response
from serve_app.protocol.offload import beside

Q = TypeVar("Q", bound=BaseModel)
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """A result, and headers to go with it."""

    result: Any
    headers: Headers = ()


async def question(settings: LiveSettings, request: Request, model: type[Q]) -> Q:
    """The body of a request.

    Raises:
        MalformedRequest: it is not of this schema; what was sent is not repeated.
        TooLarge: it is over the limit.
    """
    _, text = await read_text(request, settings.current.body_bytes)
    return await beside(len(text), lambda: untrusted(model, json_text.parse(text or b"null"), MalformedRequest))


def answered(answer: Answer, began: float) -> Response:
    """An answer in Qdrant's shape; `began` is of `time.perf_counter()`."""
    body = {"result": answer.result, "status": "ok", "time": time.perf_counter() - began}
    return json_response(HTTPStatus.OK, dumped(body), encoded(answer.headers))


def dumped(content: Any) -> bytes:
    """JSON, with numpy arrays in it."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.encode(), value.encode()) for name, value in headers]
