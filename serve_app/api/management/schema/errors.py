"""What every operation may answer instead, and the headers that go with it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from serve_app.api.management.schema.base import Example, Shape, reference

QUOTA_HEADERS = ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")


class ErrorText(BaseModel):
    """What went wrong, in words."""

    error: str


class Error(Shape):
    """A refusal in Qdrant's shape."""

    status: ErrorText
    time: float
    result: None


class OpenAIErrorContent(BaseModel):
    """What went wrong, in words and in OpenAI's categories."""

    message: str
    type: str
    param: str | None = Field(description="the parameter that is wrong, if it is one")
    code: str | None


class OpenAIError(BaseModel):
    """A refusal in the shape of OpenAI's API."""

    error: OpenAIErrorContent


HEADERS: Example = {
    "x-ratelimit-limit-tokens": {
        "description": "The tenant's tightest quota on the models that were used; absent if it has none.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-remaining-tokens": {
        "description": "What is left of it.",
        "schema": {"type": "integer"},
    },
    "x-ratelimit-reset-tokens": {
        "description": "When it is full again, such as `17s`.",
        "schema": {"type": "string"},
    },
    "retry-after": {
        "description": "With 429 and 503: after how many seconds to try again.",
        "schema": {"type": "integer"},
    },
}


def headers(*names: str) -> Example:
    """References to these headers."""
    return {name: reference("headers", name) for name in names}


def error(text: str) -> Example:
    """An example of a refusal."""
    return {"status": {"error": text}, "time": 0.0, "result": None}


def refusal(description: str, model: type[BaseModel], example: Example | None = None, *names: str) -> Example:
    """A response that refuses, with a body of this model and these headers."""
    content: dict[str, object] = {"schema": reference("schemas", model.__name__)}
    if example is not None:
        content["example"] = example
    with_headers = {"headers": headers(*names)} if names else {}
    return {"description": description, **with_headers, "content": {"application/json": content}}


RESPONSES: Example = {
    "Error": refusal(
        "Not done. 400: the request has to change; 401 and 403: it needs another credential; 429 and 503: try again "
        "after the time in Retry-After.",
        Error,
        error("Invalid API key or JWT"),
        *QUOTA_HEADERS,
        "retry-after",
    ),
    "Away": refusal(
        "The ledger's database cannot be reached, or hangs. Inference goes on. A database that hangs may still change "
        "the settings as it was asked to.",
        Error,
        error("the ledger's database cannot be reached; usage is kept in memory meanwhile"),
        "retry-after",
    ),
}

REFUSED: Example = {"default": reference("responses", "Error")}
"""The refusals of most operations."""

AWAY: Example = {"503": reference("responses", "Away")}
"""The refusal of operations that need the database."""
