"""What rerankers answer, in the words of Cohere, Jina and text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, RootModel

from serve_app.api import rerank
from serve_app.api.management.schema.base import Operation, Operations
from serve_app.api.management.schema.errors import QUOTA_HEADERS, refusal

_MANY: dict[str, Any] = {"minItems": 1, "maxItems": rerank.MOST_DOCUMENTS}
_TEXT: dict[str, Any] = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}


class RerankQuestion(rerank.Question):
    """A query, and documents to put in order. Fields that other clients send are not refused."""

    documents: Any = Field(
        description="Texts, or objects whose `text` is read.",
        json_schema_extra={"type": "array", **_MANY, "items": {"oneOf": [{"type": "string"}, _TEXT]}},
    )


class RankedDocument(BaseModel):
    """A document, if `return_documents` asks for it."""

    text: str


class RankedResult(BaseModel):
    """A document's place in the request, and how well it answers the query."""

    index: int
    relevance_score: float = Field(ge=0, le=1, description="the sigmoid of what the model gives")
    document: RankedDocument = Field(default_factory=lambda: RankedDocument(text=""))


class RerankUsage(BaseModel):
    """What the request took, in tokens; the query counts with each document."""

    prompt_tokens: int
    total_tokens: int


class RerankAnswer(BaseModel):
    """The best first."""

    model: str
    results: list[RankedResult]
    usage: RerankUsage


class RerankErrorAtV1(BaseModel):
    """A refusal in Jina's shape."""

    detail: str


class RerankErrorAtV2(BaseModel):
    """A refusal in Cohere's shape."""

    message: str


class TeiRerankQuestion(rerank.TeiQuestion):
    """A query, and texts to put in order. Fields that other clients send are not refused; long pairs are always cut."""

    texts: list[str] = Field(json_schema_extra=_MANY)
    raw_scores: bool = Field(default=False, description="what the model gives, in place of its sigmoid")
    return_text: bool = Field(default=False, description="whether the texts come back")
    model: str = Field(default_factory=str, description="not of that API: which reranker, if several are served")


class TeiRank(BaseModel):
    """A text's place in the request, and how well it answers the query."""

    index: int
    score: float
    text: str = Field(default_factory=str, description="if `return_text` asks for it")


class TeiRanks(RootModel[list[TeiRank]]):
    """The best first."""


class TeiError(BaseModel):
    """A refusal in the shape of text-embeddings-inference."""

    error: str
    error_type: str


_NAME = "cross-encoder/ms-marco-MiniLM-L6-v2"
_QUERY = "how do I bake cookies?"
_DOCUMENTS = ["the capital of France", "chocolate chip cookies: bake for ten minutes"]
_WHAT = "The documents in another order: those that answer the query best come first."
_ABOUT = (
    "Models of the family cross-encoder. Any credential; counts as usage (operation `rerank`), the query with each "
    "document. What is longer than the model reads is cut at the end of its longer part."
)
_UNKNOWN = "model: no model 'x' here; available: ..."
_DEFAULT = "Not done; 404 if there is no such model."
_ERRORS: dict[str, type[BaseModel]] = {"detail": RerankErrorAtV1, "message": RerankErrorAtV2}

REFUSALS: Sequence[type[BaseModel]] = (*_ERRORS.values(), TeiError)
"""The shapes of refusals."""


def _of_cohere(key: str) -> Operation:
    return Operation(
        tag="rerank",
        summary="Documents in the order of how well they answer a query, in Cohere's and Jina's words",
        description=_ABOUT,
        question=RerankQuestion,
        questions={"": {"model": _NAME, "query": _QUERY, "documents": _DOCUMENTS, "top_n": 1}},
        answer=RerankAnswer,
        means=_WHAT,
        example={
            "model": _NAME,
            "object": "list",
            "results": [{"index": 1, "relevance_score": 0.98}],
            "usage": {"prompt_tokens": 35, "total_tokens": 35},
        },
        tells_quotas=True,
        refusals={"default": refusal(_DEFAULT, _ERRORS[key], {key: _UNKNOWN}, *QUOTA_HEADERS, "retry-after")},
    )


OPERATIONS: Operations = {
    ("post", "/v1/rerank"): _of_cohere("detail"),
    ("post", "/v2/rerank"): _of_cohere("message"),
    ("post", "/rerank"): Operation(
        tag="rerank",
        summary="The same in the words of text-embeddings-inference",
        description=f"{_ABOUT} `model` may be left out if one reranker is served.",
        question=TeiRerankQuestion,
        questions={"": {"query": _QUERY, "texts": _DOCUMENTS, "raw_scores": False}},
        answer=TeiRanks,
        means=_WHAT,
        tells_quotas=True,
        refusals={
            "default": refusal(
                _DEFAULT, TeiError, {"error": _UNKNOWN, "error_type": "validation"}, *QUOTA_HEADERS, "retry-after"
            )
        },
    ),
}
