"""Embeddings and models in the shapes of OpenAI's API. Answers may get fields that OpenAI adds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictInt

from serve_app.api import openai
from serve_app.api.management.schema.base import Operation, Operations, Parameter
from serve_app.api.management.schema.errors import QUOTA_HEADERS, OpenAIError, refusal

_MANY: dict[str, Any] = {"minItems": 1, "maxItems": openai.MOST_INPUTS}
_IDS: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"type": "integer"}}


class EmbeddingsQuestion(openai.Question):
    """What to embed, and how. Fields that newer clients send are not refused."""

    input: Any = Field(
        description="A text, several, the ids of one text's tokens, or those of several.",
        json_schema_extra={
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", **_MANY, "items": {"type": "string"}},
                _IDS,
                {"type": "array", **_MANY, "items": _IDS},
            ]
        },
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: StrictInt | None = Field(default=None, ge=1, description="cuts the vectors to their first N numbers")
    user: str = Field(default_factory=str, description="not used and not kept")
    input_type: Literal["query", "passage"] = Field(
        default="passage", description="not of OpenAI's API: which of the model's prefixes is put before a text"
    )


class Embedding(BaseModel):
    """The vector of an input: numbers, or their base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class TokenUsage(BaseModel):
    """What the request took, in tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """The vectors in the order of the inputs."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: TokenUsage


class OpenAIModel(BaseModel):
    """A model that `/v1/embeddings` takes."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModels(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[OpenAIModel]


_NAME = "sentence-transformers/all-minilm-l6-v2"
_MODEL = {"id": _NAME, "object": "model", "created": 0, "owned_by": "sentence-transformers"}
_NO_SUCH_MODEL = {
    "error": {
        "message": "model: no model 'x' here; available: ...",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
}

OPERATIONS: Operations = {
    ("post", "/v1/embeddings"): Operation(
        tag="OpenAI",
        summary="Embeddings, in OpenAI's words",
        description=(
            "For tools that know OpenAI's API only. Dense models. Any credential; counts as usage (operation "
            "`embeddings`). Token ids are those of the model's own tokenizer, with its special tokens around them or "
            "without; ids whose text it reads as other ids are refused."
        ),
        question=EmbeddingsQuestion,
        questions={
            "": {"model": _NAME, "input": ["chocolate chip cookies"], "encoding_format": "float", "dimensions": 256}
        },
        answer=EmbeddingsAnswer,
        means="The vectors in the order of the inputs; with `base64`, little-endian float32.",
        example={
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.021, -0.113, 0.07]}],
            "model": _NAME,
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        },
        tells_quotas=True,
        refusals={
            "default": refusal(
                "Not done; 404 if there is no such model.", OpenAIError, _NO_SUCH_MODEL, *QUOTA_HEADERS, "retry-after"
            )
        },
    ),
    ("get", "/v1/models"): Operation(
        tag="OpenAI",
        summary="The models that /v1/embeddings takes",
        answer=OpenAIModels,
        means="Dense text models.",
        example={"object": "list", "data": [_MODEL]},
        refusals={"default": refusal("Not done.", OpenAIError)},
    ),
    ("get", "/v1/models/{model}"): Operation(
        tag="OpenAI",
        summary="One of the models that /v1/embeddings takes",
        parameters=[
            Parameter(
                "model",
                "path",
                "Its name or an alias; a slash in it may be percent-encoded or not.",
                {"type": "string"},
            )
        ],
        answer=OpenAIModel,
        means="The model.",
        example=_MODEL,
        refusals={"default": refusal("Not done; 404 if it is not one of them.", OpenAIError)},
    ),
}
