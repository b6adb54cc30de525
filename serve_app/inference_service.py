"""The second door: `POST /inference`, which a Qdrant server calls when its clients send inference objects to it."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from deployments.errors import InferenceError, RequestError, TemporaryError
from serve_app.exchange import Request, Response, json_response
from serve_app.inference import service_protocol
from serve_app.pipeline import Pipeline
from serve_app.statuses import HTTP, retry_after

PATH = "/inference"


async def answer(pipeline: Pipeline, request: Request) -> Response:
    """Embed the inputs; an error has this protocol's shape, and of the caller's only status 400."""
    try:
        _, text = await pipeline.read(request)
        direction, slots, vectors = service_protocol.read(text)
        used = await pipeline.infer(slots, direction)
    except InferenceError as error:
        status = HTTPStatus.BAD_REQUEST if isinstance(error, RequestError) else HTTP[error.kind]
        wait = [(b"retry-after", retry_after(error).encode())] if isinstance(error, TemporaryError) else []
        return json_response(status, orjson.dumps({"error": error.message}), wait)
    return json_response(HTTPStatus.OK, service_protocol.dump(vectors, used))
